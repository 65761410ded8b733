"""Run inside an image that stands on `science`, as the student: what a lesson of machine learning does. Raises what fails."""
import importlib
import io
import os
import subprocess
import tempfile
import time
import warnings
import zipfile

LIBRARIES = ("numpy scipy pandas matplotlib seaborn sklearn PIL cv2 ipywidgets tqdm openpyxl requests sympy IPython ipykernel debugpy "
             "pylsp pyflakes pycodestyle").split()


def try_imports():
    for name in LIBRARIES:
        module = importlib.import_module(name)
        assert module.__file__.startswith("/opt/python/"), module.__file__


def pixels(text, **settings):
    """What matplotlib draws for a text."""
    import matplotlib.pyplot as plt
    import numpy

    figure = plt.figure(figsize=(3, 1), dpi=100)
    figure.text(0.1, 0.4, text, fontsize=24, **settings)
    figure.canvas.draw()
    image = numpy.asarray(figure.canvas.buffer_rgba()).copy()
    plt.close(figure)
    return image


def chinese_is_drawn(**settings):
    """As glyphs of its own, not as the box of a missing one."""
    box = pixels("\U000f1234", **settings)
    drawn = [pixels(each, **settings) for each in ("图", "数", "\N{MINUS SIGN}")]
    for number, image in enumerate(drawn):
        assert (image[..., :3] < 128).any(), "nothing is drawn"
        assert all((image != other).any() for other in [box, *drawn[:number]])
    # Beside a formula too, where matplotlib has fonts of its own.
    formula = [pixels(f"${each}$ x") for each in ("图", "数", "¤")] + [pixels(f"{each} $x$") for each in ("图", "数", "¤")]
    assert all((image != other).any() for number, image in enumerate(formula) for other in formula[:number])


def try_chinese_plots():
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import seaborn

    plt.rcParams.update(matplotlib.rcParamsDefault)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="Glyph .* missing", append=False)
        warnings.filterwarnings("ignore", message="Glyph 987700 ")  # the box itself
        chinese_is_drawn()
        chinese_is_drawn(fontweight="bold")
        chinese_is_drawn(family="monospace", style="italic")
        chinese_is_drawn(family="SimHei")
        for settings in ({"font.sans-serif": ["SimHei"], "axes.unicode_minus": False}, {"font.family": "Microsoft YaHei"}, {"font.family": "serif"}):
            with plt.rc_context(settings):
                chinese_is_drawn()
        for style in ("ggplot", "seaborn-v0_8", "fivethirtyeight"):
            with plt.style.context(style):
                chinese_is_drawn()
        seaborn.set_theme()
        chinese_is_drawn()
        for kind in ("png", "pdf", "svg", "ps"):
            figure, axes = plt.subplots()
            axes.plot([-1, 2], label="温度 $\\alpha$")
            axes.set_title("标题")
            axes.legend()
            figure.savefig(io.BytesIO(), format=kind)
            plt.close(figure)


def try_training():
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import train_test_split

    data = load_digits(return_X_y=True)
    pictures, unseen, digits, wanted = train_test_split(*data, random_state=0)
    model = RandomForestClassifier(50, n_jobs=2, random_state=0).fit(pictures, digits)
    assert model.score(unseen, wanted) > 0.95


def try_tables_and_pictures():
    import cv2
    import numpy
    import pandas
    import sympy

    file = io.BytesIO()
    pandas.DataFrame({"姓名": ["李伟"], "分数": [98.5]}).to_excel(file, index=False)
    assert pandas.read_excel(file).iloc[0].tolist() == ["李伟", 98.5]
    assert cv2.imdecode(cv2.imencode(".png", numpy.zeros((8, 8, 3), "u1"))[1], 1).shape == (8, 8, 3)
    assert str(sympy.integrate("x**2")) == "x**3/3"


def try_compilers(folder):
    for compiler, name, source in (("cc", "a.c", "#include <stdio.h>\nint main(void){puts(\"你好\");}"),
                                   ("c++", "a.cpp", "#include <iostream>\nint main(){std::cout << \"你好\" << std::endl;}")):
        with open(f"{folder}/{name}", "w") as file:
            file.write(source)
        subprocess.run([compiler, "-o", f"{folder}/program", f"{folder}/{name}"], check=True)
        # /tmp of an environment may forbid running programs; a home does not.
        assert subprocess.check_output([f"{folder}/program"], text=True) == "你好\n"


def windows_zip(path):
    """A zip whose names are in a Chinese Windows' code page, without a mark, as Explorer makes it."""
    name, placeholder = "第一课/作业.txt".encode("gb18030"), b"ABCDEF/GHIJ.txt"
    assert len(name) == len(placeholder)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(placeholder.decode(), "内容")
    with open(path, "wb") as out:
        out.write(file.getvalue().replace(placeholder, name))


def try_zips(folder):
    windows_zip(f"{folder}/windows.zip")
    with zipfile.ZipFile(f"{folder}/other.zip", "w") as archive:
        archive.writestr("数据/a.csv", "1,2")
    for name in ("windows.zip", "other.zip"):
        subprocess.run(["unzip", "-q", "-o", f"{folder}/{name}", "-d", f"{folder}/out"], check=True)
    assert sorted(os.listdir(f"{folder}/out")) == ["数据", "第一课"], os.listdir(f"{folder}/out")
    assert open(f"{folder}/out/第一课/作业.txt").read() == "内容"
    assert "第一课/作业.txt" in subprocess.check_output(["unzip", "-l", f"{folder}/windows.zip"], text=True)


def try_git():
    """A course belongs to another user."""
    assert "main" in subprocess.check_output(["git", "status"], cwd=os.path.expanduser("~/course-public/lesson"), text=True)


def try_time_zones():
    import zoneinfo

    assert zoneinfo.ZoneInfo("Asia/Chongqing") and zoneinfo.ZoneInfo("PRC")


def main():
    with tempfile.TemporaryDirectory(dir=os.path.expanduser("~")) as folder:
        for name, function in list(globals().items()):
            if name.startswith("try_"):
                start = time.monotonic()
                function(*[folder][: function.__code__.co_argcount])
                print(f"   {name.removeprefix('try_').replace('_', ' ')} ({time.monotonic() - start:.1f} s)")


main()
