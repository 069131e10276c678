// Drives the page in a browser, and compares what it shows: `node tests/page.mjs BROWSER`, with Chromium or a relative.
//
// Time is virtual there. It passes only while the test says so, so each text is compared at a known time.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const types = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };
const server = createServer(({ url }, answer) => {
    try {
        const content = readFileSync(fileURLToPath(new URL(`..${url}`, import.meta.url)));
        answer.setHeader("content-type", types[url.split(".").pop()] ?? "text/plain").end(content);
    } catch {
        answer.writeHead(404).end();
    }
});
await new Promise((done) => server.listen(0, "127.0.0.1", done));

// The browser reads messages of the DevTools protocol from its file 3, and writes to 4. A NUL ends each. Debian's command
// is a script that starts the browser, so the test ends the group of both.
const profile = mkdtempSync(`${tmpdir()}/page-`);
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--remote-debugging-pipe"];
const stdio = ["ignore", "ignore", "ignore", "pipe", "pipe"];
const browser = spawn(process.argv[2], [...flags, `--user-data-dir=${profile}`], { stdio, detached: true });

// Ends the test, with `error` if it has failed.
let ended = false;
function end(error) {
    if (ended) return;
    ended = true;
    if (error) console.error(error);
    process.exitCode = error ? 1 : 0;
    if (browser.exitCode === null && browser.pid) process.kill(-browser.pid, "SIGKILL");
    server.close();
    server.closeAllConnections?.();
    clearTimeout(limit);
}
process.on("exit", () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
const limit = setTimeout(() => end("the browser does not answer"), 120_000);
browser.on("error", end);
browser.stdio[3].on("error", end);
browser.on("exit", (code) => end(`the browser has exited: ${code}`));

let session;
let count = 0;
const replies = new Map();
const events = new Map();
function call(method, params = {}) {
    const id = ++count;
    browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
    return new Promise((resolve, reject) => replies.set(id, { resolve, reject }));
}
const event = (method) => new Promise((resolve) => events.set(method, resolve));
let unread = "";
browser.stdio[4].setEncoding("utf8").on("data", (text) => {
    const messages = (unread + text).split("\0");
    unread = messages.pop();
    for (const { id, method, params, result, error } of messages.map((message) => JSON.parse(message))) {
        if (method === "Runtime.exceptionThrown") end(JSON.stringify(params.exceptionDetails, null, 1));
        events.get(method)?.();
        if (error) replies.get(id)?.reject(new Error(error.message));
        else replies.get(id)?.resolve(result);
    }
});

async function evaluate(expression) {
    return (await call("Runtime.evaluate", { expression })).result.value;
}
async function pass(milliseconds) {
    const expired = event("Emulation.virtualTimeBudgetExpired");
    await call("Emulation.setVirtualTimePolicy", { policy: "advance", budget: milliseconds });
    await expired;
}
const click = (...ids) => evaluate(`for (const id of ${JSON.stringify(ids)}) document.getElementById(id).click()`);
// What the page shows: the first line, and the lines that are new in the log. Tasks that a change wakes may run in any order.
let seen = 0;
async function shows(stock, sold, loads, ...lines) {
    const state = await evaluate(`document.querySelector("p").innerText`);
    const log = (await evaluate(`document.getElementById("log").innerText`)).split("\n").filter((line) => line);
    const shown = { state, log: log.slice(seen).sort() };
    console.log([state, ...shown.log].join("; "));
    seen = log.length;
    const expected = `On the shelf: ${stock}, sold: ${sold}, requests to the server: ${loads}`;
    assert.deepEqual(shown, { state: expected, log: lines });
}

async function test() {
    const { targetId } = await call("Target.createTarget", { url: "about:blank" });
    session = (await call("Target.attachToTarget", { targetId, flatten: true })).sessionId;
    await call("Runtime.enable");
    await call("Page.enable");
    await call("Page.navigate", { url: `http://127.0.0.1:${server.address().port}/index.html` });
    while (!(await evaluate(`document.getElementById("look")?.onclick && document.getElementById("stock").innerText`))) {
        await new Promise((done) => setTimeout(done, 50));
    }
    await call("Emulation.setVirtualTimePolicy", { policy: "pause" });
    await shows("not loaded", 0, 0);

    // The first customer loads the stock, for all. Meanwhile it can be looked at.
    await click("buy", "buy", "buy");
    await pass(400);
    await click("look");
    await shows("not loaded", 0, 0, "on the shelf: not loaded");
    // Two pieces, for three customers.
    await pass(200);
    await shows(0, 2, 1, "customer 1 has bought", "customer 2 has bought");

    // The third waits for a delivery. While it holds the lock, a look at the shelf is too long.
    await click("deliver");
    await pass(500);
    await click("look");
    await pass(90);
    await shows(0, 2, 1);
    await pass(20);
    await shows(0, 2, 1, "the shelf is being filled");
    await pass(500);
    await shows(2, 3, 1, "customer 3 has bought");

    // The last one waits for nothing.
    await click("buy", "buy", "buy");
    await shows(0, 5, 1, "customer 4 has bought", "customer 5 has bought");
    await pass(2_900);
    await shows(0, 5, 1);
    await pass(200);
    await shows(0, 5, 1, "customer 6 has left");
    await click("look");
    await shows(0, 5, 1, "on the shelf: 0");
}
test().then(() => end(), end);
