"""Notebooks as HTML and PDF without internet, JavaScript, a browser or LaTeX.

nbconvert's HTML would fetch MathJax from the internet to show formulas, and its PDFs want LaTeX or a browser. Here formulas
become MathML in HTML and SVG in PDF, which WeasyPrint makes of the same page. install puts both in the place of nbconvert's own.
"""
import base64
import html
import re

from jinja2 import pass_context
from nbconvert.exporters.html import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from traitlets import Bool, default

PAGE = """<style>
@page { size: A4; margin: 18mm 16mm; @bottom-center { content: counter(page); font-size: 9pt; color: #666 } }
body { font-size: 10.5pt; margin: 0; padding: 0 }
pre { white-space: pre-wrap; overflow-wrap: anywhere }
img, svg { max-width: 100% }
.jp-InputPrompt, .jp-OutputPrompt { display: none }
main, .jp-Notebook, .jp-Cell, .jp-Cell-inputWrapper, .jp-Cell-outputWrapper, .jp-InputArea, .jp-InputArea-editor, .cm-editor, .highlight,
.jp-OutputArea, .jp-OutputArea-child, .jp-OutputArea-output, .jp-RenderedHTMLCommon { display: block; width: auto; overflow: visible }
.jp-CodeCell .jp-InputArea-editor { border: 1px solid #ddd; background: #f7f7f7; padding: 4px }
.jp-RenderedHTMLCommon tr, .jp-OutputArea-output img { break-inside: avoid }
.formula { display: block; margin: 0.6em auto; text-align: center }
</style>"""


def as_source(tex):
    """What is no formula that we understand is shown as it was written."""
    return f"<code>{html.escape(tex)}</code>"


def mathml(tex, block):
    from latex2mathml.converter import convert

    return convert(tex, display="block" if block else "inline")


def picture(tex, block):
    import ziamath

    formula = ziamath.Latex(tex, size=14, inline=not block)
    data = base64.b64encode(formula.svg().encode()).decode()
    image = f'<img alt="{html.escape(tex)}" src="data:image/svg+xml;base64,{data}"'
    if block:
        return f'<span class="formula">{image} /></span>'
    return f'{image} style="vertical-align: {formula.getyofst():.2f}px" />'


class Renderer(IPythonRenderer):
    formula = None

    def inline_math(self, body):
        return self.formula(body, False)

    def block_math(self, body):
        return self.formula(body, True)

    def latex_environment(self, name, body):
        return self.formula(f"\\begin{{{name}}}{body}\\end{{{name}}}", True)


class OfflineHTMLExporter(HTMLExporter):
    export_from_notebook = "HTML"
    render = staticmethod(mathml)

    embed_images = Bool(True, help="Pictures beside the notebook go into the file.").tag(config=True)

    @default("template_name")
    def _template_name_default(self):
        return "open-hydra"

    def formula(self, tex, block):
        try:
            return self.render(tex.strip(), block)
        except Exception:
            return as_source(tex)

    def latex2html(self, text):
        """An output that is LaTeX, as SymPy's: a formula between dollars, or text with such."""
        found = re.fullmatch(r"\s*(\${1,2}|\\\[)(.*?)(\${1,2}|\\\])\s*", text, re.S)
        if found and "$" not in found[2]:
            return self.formula(found[2], True)
        if text.lstrip().startswith("\\begin"):
            return self.formula(text, True)
        return self.markdown(text, {})

    def markdown(self, text, context):
        cell, resources = context.get("cell", {}), context.get("resources", {})
        renderer = Renderer(
            escape=False,
            attachments=cell.get("attachments", {}),
            embed_images=self.embed_images,
            path=resources.get("metadata", {}).get("path", ""),
            anchor_link_text=self.anchor_link_text,
            exclude_anchor_links=self.exclude_anchor_links,
            **self.lexer_options,
        )
        renderer.formula = self.formula
        return MarkdownWithMath(renderer=renderer).render(text)

    @pass_context
    def markdown2html(self, context, source):
        return self.markdown(source, context)

    def default_filters(self):
        yield from super().default_filters()
        yield ("latex2html", self.latex2html)


class PDFExporter(OfflineHTMLExporter):
    export_from_notebook = "PDF"
    output_mimetype = "application/pdf"
    render = staticmethod(picture)

    @default("file_extension")
    def _file_extension_default(self):
        return ".pdf"

    @default("template_extension")
    def _template_extension_default(self):
        return ".html.j2"

    def _init_resources(self, resources):
        resources = super()._init_resources(resources)
        resources["page_css"] = PAGE
        return resources

    def from_notebook_node(self, nb, resources=None, **settings):
        import logging

        import weasyprint

        # Of Jupyter Lab's style it knows what paper needs, and says the rest line by line.
        logging.getLogger("weasyprint").setLevel(logging.ERROR)
        page, resources = super().from_notebook_node(nb, resources, **settings)
        resources["output_extension"] = ".pdf"
        folder = resources.get("metadata", {}).get("path") or "."
        return weasyprint.HTML(string=page, base_url=folder + "/").write_pdf(), resources
