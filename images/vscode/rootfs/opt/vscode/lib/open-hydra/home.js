// Where VS Code keeps what is the user's: in the home, or, where that cannot be (it is full, shut, somebody else's or holds what
// would stop VS Code) and in safe mode, in memory. Lines that begin with «open-hydra: CAUSE:» are what the runner knows a cause by.
"use strict";

const fs = require("fs");
const path = require("path");

const MEMORY = "/tmp/open-hydra/code-server";
const PLAIN = ["User/settings.json", "User/keybindings.json", "User/tasks.json", "User/argv.json", "Machine/settings.json", "languagepacks.json"];
const MOST_BYTES = 1 << 20;

const say = (cause, text) => console.error(`open-hydra: ${cause}: ${text}`);
const safeMode = () => !["", "0", undefined].includes(process.env.OPENHYDRA_SAFE_MODE);

function isThere(file) {
  try {
    fs.lstatSync(file);
    return true;
  } catch {
    return false;
  }
}

// What VS Code would read to its end; a pipe has none.
function isPlain(file) {
  try {
    const found = fs.statSync(file);
    fs.accessSync(file, fs.constants.R_OK);
    return found.isFile() && found.size <= MOST_BYTES;
  } catch {
    return false;
  }
}

function testWriting(data) {
  const file = path.join(data, `.test-${process.pid}`);
  fs.mkdirSync(path.join(data, "User"), { recursive: true });
  fs.mkdirSync(path.join(data, "extensions"), { recursive: true });
  try {
    fs.writeFileSync(file, Buffer.alloc(4096));
  } finally {
    fs.rmSync(file, { force: true });
  }
}

// Without its list VS Code looks at the folder itself; with a broken one it has no extensions at all.
function mendExtensions(data) {
  const file = path.join(data, "extensions/extensions.json");
  try {
    if (!isThere(file) || (isPlain(file) && Array.isArray(JSON.parse(fs.readFileSync(file, "utf8"))))) return;
  } catch {
    // No JSON.
  }
  say("ConfigurationBroken", `${file} is set aside`);
  fs.renameSync(file, `${file}.broken`);
}

function whyNot(data) {
  try {
    testWriting(data);
    mendExtensions(data);
  } catch (why) {
    return [["ENOSPC", "EDQUOT"].includes(why.code) ? "HomeFull" : "HomeNotWritable", `${data}: ${why.message}`];
  }
  const odd = PLAIN.map((each) => path.join(data, each)).find((each) => isThere(each) && !isPlain(each));
  return odd ? ["ConfigurationBroken", `${odd} is no file that can be read`] : undefined;
}

function copySettings(data) {
  for (const each of PLAIN) {
    const from = path.join(data, each);
    if (isPlain(from)) fs.copyFileSync(from, path.join(MEMORY, each));
  }
}

function inMemory(data) {
  fs.mkdirSync(path.join(MEMORY, "User"), { recursive: true });
  fs.mkdirSync(path.join(MEMORY, "Machine"), { recursive: true });
  if (data) copySettings(data);
  return MEMORY;
}

// Programs that are started find nothing of theirs in the home.
function withoutHome(home) {
  const places = { IPYTHONDIR: "ipython", MPLCONFIGDIR: "matplotlib", XDG_CONFIG_HOME: "config", XDG_CACHE_HOME: "cache",
    XDG_DATA_HOME: "share", XDG_STATE_HOME: "state" };
  for (const [name, place] of Object.entries(places)) process.env[name] = `/tmp/open-hydra/home/${place}`;
  const local = path.join(home, ".local/bin");
  process.env.PATH = process.env.PATH.split(":").filter((each) => each !== local).join(":");
  Object.assign(process.env, { PYTHONNOUSERSITE: "1", HISTFILE: "/tmp/open-hydra/home/history", GIT_CONFIG_GLOBAL: "/dev/null",
    PIP_CONFIG_FILE: "/dev/null", NPM_CONFIG_USERCONFIG: "/dev/null" });
  for (const name of ["PYTHONSTARTUP", "PYTHONPATH", "BASH_ENV", "ENV"]) delete process.env[name];
}

// Settings that a safe mode begins with: terminals without the home's start files.
const SAFE_SETTINGS = {
  "terminal.integrated.profiles.linux": { bash: { path: "/bin/bash", args: ["--noprofile", "--norc"] } },
};

// The folder for VS Code's data.
function choose(home) {
  const data = path.join(home, ".local/share/code-server");
  if (safeMode()) {
    withoutHome(home);
    return inMemory();
  }
  const why = whyNot(data);
  if (!why) return data;
  say(...why);
  return inMemory(data);
}

// Its owner may have shut it.
function open(home) {
  try {
    const { mode } = fs.statSync(home);
    if ((mode & 0o700) !== 0o700) fs.chmodSync(home, (mode & 0o7777) | 0o700);
  } catch {
    // Somebody else's.
  }
}

module.exports = { choose, open, safeMode, SAFE_SETTINGS };
