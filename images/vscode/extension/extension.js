// What a class needs of Python in VS Code: a run button, debugging, completion and diagnostics. The extensions that
// usually bring it are not free to ship; where somebody installs one of them, this one stands back.
"use strict";

const path = require("path");
const vscode = require("vscode");

const SERVER = "/opt/vscode/lib/node_modules/basedpyright/langserver.index.js";
const OTHERS = ["ms-python.python", "detachhead.basedpyright", "ms-pyright.pyright"];

let client;

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

// The file of a command: of the button's editor, of the explorer, or the one that is open; saved, as it runs from disk.
async function fileOf(resource) {
  const editor = vscode.window.activeTextEditor;
  const uri = resource ?? editor?.document.uri;
  if (uri?.scheme !== "file") return undefined;
  const document = vscode.workspace.textDocuments.find((each) => each.uri.toString() === uri.toString());
  if (document?.isDirty && !(await document.save())) return undefined;
  return uri;
}

function folderOf(uri) {
  const ownFolder = vscode.workspace.getConfiguration("python.terminal", uri).get("executeInFileDir");
  const opened = vscode.workspace.getWorkspaceFolder(uri);
  return ownFolder || !opened ? path.dirname(uri.fsPath) : opened.uri.fsPath;
}

// One terminal for each folder, used again, so that a class does not collect dozens. Ours after a reload of the page too.
function terminalIn(cwd) {
  const name = `Python: ${path.basename(cwd)}`;
  const ours = vscode.window.terminals.find((each) => each.name === name && each.exitStatus === undefined);
  return ours ?? vscode.window.createTerminal({ name, cwd });
}

async function runFile(resource) {
  const uri = await fileOf(resource);
  if (!uri) return;
  const cwd = folderOf(uri);
  const terminal = terminalIn(cwd);
  terminal.show();
  // A student may have gone elsewhere in it since.
  terminal.sendText(`cd ${quoted(cwd)} && python3 ${quoted(uri.fsPath)}`);
}

async function debugFile(resource) {
  const uri = await fileOf(resource);
  if (!uri) return;
  const opened = vscode.workspace.getWorkspaceFolder(uri);
  await vscode.debug.startDebugging(opened, {
    ...defaults, program: uri.fsPath, cwd: folderOf(uri),
  });
}

const defaults = { name: "Python", type: "python", request: "launch", console: "integratedTerminal", justMyCode: true };

const configurations = {
  provideDebugConfigurations: () => [{ ...defaults, program: "${file}" }],

  // F5 without a launch.json comes with an empty configuration.
  resolveDebugConfiguration(folder, config) {
    if (!config.type && !config.request) {
      if (vscode.window.activeTextEditor?.document.languageId !== "python") return undefined;
      return { ...defaults, program: "${file}", cwd: folder ? "${workspaceFolder}" : "${fileDirname}" };
    }
    return { ...defaults, ...config };
  },
};

const adapters = {
  createDebugAdapterDescriptor: () => new vscode.DebugAdapterExecutable("python3", ["-m", "debugpy.adapter"]),
};

function startLanguageServer() {
  const { LanguageClient, TransportKind } = require("vscode-languageclient/node");
  // Of the libraries of a class it holds some 300 MB; more would be the environment's end rather than its own.
  const server = { module: SERVER, transport: TransportKind.ipc, options: { execArgv: ["--max-old-space-size=1024"] } };
  client = new LanguageClient("basedpyright", "Python", server, {
    documentSelector: [{ language: "python", scheme: "file" }, { language: "python", scheme: "untitled" }],
    synchronize: { configurationSection: ["python", "basedpyright"] },
  });
  return client.start();
}

async function activate(context) {
  if (OTHERS.some((id) => vscode.extensions.getExtension(id))) return;
  context.subscriptions.push(
    vscode.commands.registerCommand("openHydra.runFile", runFile),
    vscode.commands.registerCommand("openHydra.debugFile", debugFile),
    vscode.debug.registerDebugConfigurationProvider("python", configurations),
    vscode.debug.registerDebugAdapterDescriptorFactory("python", adapters),
  );
  await vscode.commands.executeCommand("setContext", "openHydra.python", true);
  await startLanguageServer();
}

function deactivate() {
  return client?.stop();
}

module.exports = { activate, deactivate };
