// Runs one piece of code after the other in one global scope, for a context. agent.proto says how it is spoken to.
// The inspector evaluates as a browser's console does: `let` may be said again, and `await` needs no function.
"use strict";
const inspector = require("node:inspector");
const net = require("node:net");
const stream = require("node:stream");
const util = require("node:util");

const link = new net.Socket({ fd: 0, readable: true, writable: true });
const nothing = stream.Readable.from([]);
Object.defineProperty(process, "stdin", { configurable: true, get: () => nothing });
const session = new inspector.Session();
session.connect();
const ask = (method, parameters) =>
  new Promise((resolve, reject) =>
    session.post(method, parameters, (error, answer) => (error ? reject(error) : resolve(answer))),
  );

const tell = (result) => {
  const body = Buffer.from(JSON.stringify(result));
  link.write(Buffer.concat([Buffer.from(`R ${body.length}\n`), body]));
};

const bundle = (value) => {
  const data = { "text/plain": util.inspect(value) };
  const shown = value && typeof value.toHtml === "function" ? value.toHtml() : undefined;
  if (typeof shown === "string") data["text/html"] = shown;
  if (Buffer.isBuffer(value) && value.subarray(0, 8).equals(Buffer.from("89504e470d0a1a0a", "hex"))) {
    data["image/png"] = value.toString("base64");
  }
  const isPlain = value && [Object.prototype, Array.prototype, null].includes(Object.getPrototypeOf(value));
  if (isPlain && typeof value === "object") {
    try {
      data["application/json"] = JSON.parse(JSON.stringify(value));
    } catch {
      // It has no JSON, in a circle for example.
    }
  }
  return data;
};

const kept = Symbol("what an evaluation made");
const valueOf = async (remote) => {
  if (remote.objectId === undefined) {
    return remote.unserializableValue === undefined ? remote.value : eval(remote.unserializableValue);
  }
  globalThis[kept] = undefined;
  const symbol = await ask("Runtime.evaluate", { expression: "globalThis" });
  await ask("Runtime.callFunctionOn", {
    objectId: symbol.result.objectId,
    functionDeclaration: "function (value) { const [kept] = Object.getOwnPropertySymbols(this).filter((it) => it.description === 'what an evaluation made'); this[kept] = value; }",
    arguments: [{ objectId: remote.objectId }],
  });
  const value = globalThis[kept];
  delete globalThis[kept];
  return value;
};

// Frames of this program.
const own = /^ {4}at (new Promise \(<anonymous>\)$|.*(\[eval\]|node:inspector|node:internal|node:net|node:events|node:diagnostics))/;
const failed = (error, text) => {
  const isError = error instanceof Error || (error && typeof error.stack === "string");
  const traceback = isError
    ? error.stack.split("\n").filter((line) => !own.test(line)).join("\n")
    : `Uncaught ${text ?? util.inspect(error)}`;
  process.stderr.write(`${traceback}\n`);
  const name = isError ? String(error.name) : "Error";
  tell({ type: "error", name, value: isError ? String(error.message) : (text ?? String(error)), traceback });
  return 1;
};

class Exit extends Error {}
let exitCode;
const exit = (code) => {
  exitCode = Number(code ?? process.exitCode ?? 0) & 255;
  throw new Exit("the code has ended");
};

const evaluate = async (expression) => {
  exitCode = undefined;
  const answer = await ask("Runtime.evaluate", {
    expression,
    replMode: true,
    awaitPromise: true,
    includeCommandLineAPI: false,
  });
  if (exitCode !== undefined) return exitCode;
  const details = answer.exceptionDetails;
  if (details) return details.exception ? failed(await valueOf(details.exception)) : failed(undefined, details.text);
  const value = await valueOf(answer.result);
  if (value !== undefined) tell({ type: "result", data: bundle(value) });
  return 0;
};

let interrupt;
process.on("SIGINT", () => interrupt?.(new Error("interrupted")));

const run = async (source) => {
  const before = process.cpuUsage();
  let code;
  try {
    code = await Promise.race([evaluate(source), new Promise((_, reject) => (interrupt = reject))]);
  } catch (error) {
    code = failed(error);
  }
  interrupt = undefined;
  const { user, system } = process.cpuUsage(before);
  link.write(`E ${code} ${user + system} ${process.resourceUsage().maxRSS * 1024}\n`);
};

let received = Buffer.alloc(0);
let running = false;
const next = async () => {
  if (running) return;
  running = true;
  for (;;) {
    const end = received.indexOf("\n");
    const length = end < 0 ? Infinity : Number(received.subarray(0, end));
    if (received.length < end + 1 + length) break;
    const source = received.subarray(end + 1, end + 1 + length).toString();
    received = received.subarray(end + 1 + length);
    await run(source);
  }
  running = false;
};

process.exit = exit;
process.argv = [process.argv[0]];
Object.assign(globalThis, { require, display: (...values) => values.forEach((value) => tell({ type: "display", data: bundle(value) })) });
process.on("uncaughtException", (error) => {
  if (!(error instanceof Exit)) process.stderr.write(`Uncaught ${util.inspect(error)}\n`);
});
process.on("unhandledRejection", (error) => process.stderr.write(`Uncaught (in promise) ${util.inspect(error)}\n`));
link.on("data", (data) => {
  received = Buffer.concat([received, data]);
  next();
});
link.on("end", () => process.reallyExit(0));
