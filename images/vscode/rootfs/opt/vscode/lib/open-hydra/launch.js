// Starts VS Code (code-server) for one student: code-server's own entry point without the process that watches over
// another one, as the runner does that.
"use strict";

// What a start compiles was compiled when the image was built. Where that is not so it is compiled as always.
require("module").enableCompileCache(process.env.OPENHYDRA_RECORD || "/opt/vscode/lib/open-hydra/compiled");

const fs = require("fs");
const os = require("os");
const path = require("path");
const packs = require("./languagepacks.json");
const userData = require("./home");

const home = os.homedir();
// Modules are the image's: none of ~/.node_modules.
process.env.HOME = "/nonexistent";
require("module")._initPaths();
process.env.HOME = home;

const CODE_SERVER = "/opt/vscode/lib/code-server";
const { parse, setDefaults } = require(`${CODE_SERVER}/out/node/cli`);
const { runCodeServer } = require(`${CODE_SERVER}/out/node/main`);
const { ensureVSCodeLoaded } = require(`${CODE_SERVER}/out/node/routes/vscode`);

userData.open(home);
const data = userData.choose(home);

// The owner's language («zh-CN»), else LANG: zh_CN.UTF-8 is «zh-cn». C and POSIX say nothing: then the browser's
// language decides.
function language() {
  const name = (process.env.OPENHYDRA_LANGUAGE || process.env.LC_ALL || process.env.LANG || "").split(/[.@]/)[0];
  return /^(C|POSIX)?$/.test(name) ? undefined : name.replace("_", "-").toLowerCase();
}

// As arguments, nothing in a home overrides them. Nobody logs in here: the gateway is the only one who reaches the
// socket, and has asked who it is.
function commandLine() {
  const socket = process.env.OPENHYDRA_SOCKET;
  const locale = language();
  return [
    ...(socket ? ["--socket", socket, "--socket-mode", "0666"] : ["--bind-addr", "0.0.0.0:8888"]),
    "--auth=none",
    "--disable-telemetry",
    "--disable-update-check",
    "--disable-workspace-trust",
    "--disable-getting-started-override",
    "--link-protection-trusted-domains=*",
    `--user-data-dir=${data}`,
    "--session-socket=/tmp/code-server.sock",
    "--app-name=VS Code",
    ...(locale ? [`--locale=${locale}`] : []),
    ...process.argv.slice(2),
    home,
  ];
}

function keep(file, content) {
  try {
    if (fs.readFileSync(file, "utf8") === content) return;
  } catch {
    // Not there yet.
  }
  fs.writeFileSync(file, content);
}

function readJson(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8"));
  } catch {
    return {};
  }
}

// VS Code looks for language packs here alone; those that a student has installed stay.
function offerLanguages() {
  const file = path.join(data, "languagepacks.json");
  fs.mkdirSync(data, { recursive: true });
  keep(file, JSON.stringify({ ...readJson(file), ...packs }));
}

// Without a network the view of extensions would wait for the internet; with none it shows what is installed.
function withoutGallery() {
  const outside = Object.values(os.networkInterfaces()).some((all) => all.some((each) => !each.internal));
  if (!outside && !process.env.EXTENSIONS_GALLERY) process.env.EXTENSIONS_GALLERY = "{}";
}

function attempt(what) {
  try {
    what();
  } catch (why) {
    console.error(`${what.name}: ${why.message}`);
  }
}

// At once: otherwise the first visitor would wait for it. Without this variable it would start a server of its own.
async function loadVSCode(args) {
  process.env.CODE_SERVER_PARENT_PID = String(process.pid);
  await new Promise((done, failed) => ensureVSCodeLoaded({ args }, null, (why) => (why ? failed(why) : done())));
  delete process.env.CODE_SERVER_PARENT_PID;
}

async function main() {
  attempt(offerLanguages);
  withoutGallery();
  process.env.NODE_EXEC_PATH = process.execPath;
  const args = await setDefaults(parse(commandLine()), { config: "none" });
  args.logsPath = "/tmp/vscode-logs";
  args.configurationDefaults = { ...require("./settings.json"), ...(userData.safeMode() ? userData.SAFE_SETTINGS : {}) };
  const server = await runCodeServer(args);
  await loadVSCode(args);

  const stop = () => server.dispose().finally(() => process.exit(0));
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  if (process.env.OPENHYDRA_RECORD) stop();
}

main().catch((why) => {
  console.error(why);
  process.exit(1);
});
