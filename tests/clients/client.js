// The npm package `consul`, driven against two nodes whose ports are the arguments. Prints "held" when all of it held.
const assert = require("assert");
const Consul = require("consul");

const [one, two] = process.argv.slice(2).map((port) => new Consul({ host: "127.0.0.1", port: Number(port) }));

async function keys() {
  assert.strictEqual(await one.kv.set("js/a b/ü", "1"), true);
  assert.strictEqual((await two.kv.get("js/a b/ü")).Value, "1");
  const entry = await one.kv.get("js/a b/ü");
  assert.strictEqual(await one.kv.set({ key: "js/a b/ü", value: "2", cas: String(entry.ModifyIndex) }), true);
  // The client turns the answer false into undefined.
  assert.ok(!(await one.kv.set({ key: "js/a b/ü", value: "3", cas: String(entry.ModifyIndex) })));
  assert.deepStrictEqual(await two.kv.keys("js/"), ["js/a b/ü"]);
  const watch = two.watch({ method: two.kv.get, options: { key: "js/watched" } });
  const seen = new Promise((resolve, reject) => {
    watch.on("change", (value) => value && resolve(value.Value));
    watch.on("error", reject);
  });
  await one.kv.set("js/watched", "news");
  assert.strictEqual(await seen, "news");
  watch.end();
}

async function locks() {
  const session = await one.session.create({ name: "js", behavior: "delete", lockdelay: "0s" });
  assert.strictEqual(await one.kv.set({ key: "js/lock", value: "x", acquire: session.ID }), true);
  assert.strictEqual((await two.session.get(session.ID)).Name, "js");
  assert.ok((await one.session.renew(session.ID)).length === 1 && (await two.session.list()).length >= 1);
  await one.session.destroy(session.ID);
  assert.strictEqual(await two.kv.get("js/lock"), undefined);
}

async function services() {
  await one.agent.service.register({ name: "js web", id: "js/web:1", port: 80, tags: ["t"], check: { ttl: "60s" } });
  assert.deepStrictEqual(await two.health.service({ service: "js web", passing: true }), []);
  await one.agent.check.pass("service:js/web:1");
  assert.strictEqual((await two.health.service({ service: "js web", passing: true }))[0].Service.Port, 80);
  assert.ok((await two.catalog.service.nodes("js web")).length === 1 && "js web" in (await one.catalog.service.list()));
  await one.agent.service.maintenance({ id: "js/web:1", enable: true, reason: "later" });
  assert.deepStrictEqual(await two.health.service({ service: "js web", passing: true }), []);
  await one.agent.service.deregister("js/web:1");
  assert.deepStrictEqual(await two.health.service("js web"), []);
}

async function rest() {
  const event = await one.event.fire("jsevent", "body");
  assert.ok((await one.event.list("jsevent")).some((each) => each.ID === event.ID));
  assert.ok((await two.status.peers()).includes(await one.status.leader()));
  assert.ok((await one.agent.self()).Config && (await one.agent.members()).length === 3);
  const set = { KV: { Verb: "set", Key: "js/t", Value: Buffer.from("5").toString("base64") } };
  await one.transaction.create([set]);
  assert.strictEqual((await two.kv.get("js/t")).Value, "5");
  await one.kv.del({ key: "js/", recurse: true });
}

(async () => {
  for (const part of [keys, locks, services, rest]) await part();
  console.log("held");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
