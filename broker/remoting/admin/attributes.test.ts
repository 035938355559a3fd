// Every attribute of topics and groups, as operators set it: good values are kept and shown, bad ones refused with what is
// allowed, and the operations page names it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { brokerAdminService, Code } from "@cometmq/proto";
import type { MethodHandler } from "../../../transport/index.ts";
import { type AttributeRule, groupAttributes, topicAttributes } from "../../metadata/attributes.ts";
import { TestBroker, TestStream } from "../testkit/index.ts";
import type { AdminContext } from "./admin-context.ts";
import { brokerAdminMethods } from "./admin-methods.ts";

const { methods } = brokerAdminService;
const page = readFileSync(new URL("../../../docs/operations.md", import.meta.url), "utf8");

describe("attributes that operators set", () => {
  let handlers: ReadonlyMap<string, MethodHandler>;

  beforeEach(() => {
    const { context, metadata } = new TestBroker();
    handlers = brokerAdminMethods({ ...context, metadata } as unknown as AdminContext);
  });

  async function call(path: string, bytes: Uint8Array): Promise<Uint8Array> {
    const method = handlers.get(path);
    assert.ok(method?.kind === "unary");
    return await method.handle(bytes, new TestStream());
  }

  /** What it is called, and what it is afterwards; or why it was refused. */
  type Update = (wish: {
    readonly attributes?: Record<string, string>;
    readonly removedAttributes?: string[];
  }) => Promise<Record<string, string> | string>;

  const updateTopic: Update = async (wish) => {
    const { path, request, response } = methods.UpdateTopic;
    const bytes = await call(path, request.encode({ name: "t", ...wish }));
    const { status, topic } = response.decode(bytes);
    return status?.code === Code.OK ? (topic?.attributes ?? {}) : (status?.message ?? "");
  };

  const updateGroup: Update = async (wish) => {
    const { path, request, response } = methods.UpdateGroup;
    const bytes = await call(path, request.encode({ name: "g", ...wish }));
    const { status, group } = response.decode(bytes);
    return status?.code === Code.OK ? (group?.attributes ?? {}) : (status?.message ?? "");
  };

  /** A value that a rule allows: the first that it names, or a name, or a number. */
  function goodValue({ allowed, allows }: AttributeRule): string {
    const named = allowed.split(/, (?:or )?/);
    const good = [...named, "broker-a;broker-b", "1", "10"].find((value) => allows(value));
    assert.ok(good !== undefined, `no value of "${allowed}" is allowed`);
    return good;
  }

  const kinds = [
    ["topic", topicAttributes, updateTopic],
    ["group", groupAttributes, updateGroup],
  ] as const;
  for (const [kind, rules, update] of kinds) {
    for (const rule of rules) {
      it(`${rule.key} of a ${kind}`, async () => {
        const { key, allowed } = rule;
        const good = goodValue(rule);
        const set = await update({ attributes: { [key]: good } });
        assert.deepEqual(set, { [key]: good });
        const refusal = await update({ attributes: { [key]: ";;" } });
        assert.ok(typeof refusal === "string");
        assert.ok(
          refusal.includes(`attribute ${key} may not be ";;": allowed are ${allowed}`),
          refusal,
        );
        assert.deepEqual(await update({}), { [key]: good });
        assert.deepEqual(await update({ removedAttributes: [key] }), {});
        assert.ok(page.includes(`| \`${key}\` |`), `docs/operations.md does not name ${key}`);
      });
    }

    it(`unknown to a ${kind} are refused with those that there are`, async () => {
      const refusal = await update({ attributes: { "no.such": "1" } });
      assert.ok(typeof refusal === "string");
      for (const { key } of rules) assert.ok(refusal.includes(key), refusal);
    });
  }
});
