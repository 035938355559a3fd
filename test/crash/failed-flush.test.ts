// A broker whose disk fails a flush: what was acknowledged is served on, nothing more is taken, the
// broker says so, and a restart has everything that was acknowledged.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import {
  brokerRole,
  Configuration,
  silentLogger,
  systemClock,
  systemRandom,
} from "../../base/index.ts";
import { Broker } from "../../broker/index.ts";
import { type Disk, nodeDisk } from "../../broker/store/index.ts";
import { messagingService, RawClient } from "../e2e/raw-client.ts";
import { receive, send } from "../e2e/sending.ts";

const ok = 20_000;
const internalError = 50_001;

/** The machine's disk, but flushes of the log fail while `isBroken()`. */
function breakable(isBroken: () => boolean): Disk {
  return {
    ...nodeDisk,
    async open(path, options) {
      const file = await nodeDisk.open(path, options);
      return {
        read: (target, at) => file.read(target, at),
        write: (bytes, at) => file.write(bytes, at),
        writeAll: (parts, at) => file.writeAll(parts, at),
        truncate: (size) => file.truncate(size),
        size: () => file.size(),
        close: () => file.close(),
        async datasync() {
          if (isBroken() && path.includes("/commitlog/")) {
            throw Object.assign(new Error("EIO: the disk is gone"), { code: "EIO" });
          }
          await file.datasync();
        },
      };
    },
  };
}

async function openBroker(folder: string, disk: Disk): Promise<[Broker, RawClient]> {
  const config = Configuration.load(brokerRole, {
    flags: {
      grpcServerPort: "0",
      storePathRootDir: folder,
      autoCreateTopicEnable: "true",
      mappedFileSizeCommitLog: "64m",
    },
  });
  const parts = { config, disk, clock: systemClock, random: systemRandom, logger: silentLogger };
  const broker = await Broker.open({ ...parts, ops: false });
  return [broker, new RawClient(`127.0.0.1:${broker.grpcPort}`)];
}

/** Receives until all of `texts` have come. Gives all that came. */
async function receiveAll(
  client: RawClient,
  group: string,
  texts: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  while (!texts.every((text) => found.includes(text))) {
    const more = await receive(client, "t", group);
    assert.ok(more.length > 0, `only ${found.join()} came`);
    found.push(...more);
  }
  return found;
}

describe("a failed flush", () => {
  it("ends sends until a restart, and loses nothing that was acknowledged", async () => {
    const folder = await mkdtemp(`${tmpdir()}/cometmq-flush-`);
    let isBroken = false;
    const [broker, client] = await openBroker(
      folder,
      breakable(() => isBroken),
    );
    for (const text of ["one", "two"]) assert.equal(await send(client, "t", text), ok);
    await receiveAll(client, "before", ["one", "two"]);
    assert.equal(broker.notReady, undefined);

    isBroken = true;
    assert.equal(await send(client, "t", "lost"), internalError);
    isBroken = false;
    const { status } = await client.call(messagingService.methods.SendMessage, {
      messages: [
        {
          topic: { name: "t" },
          systemProperties: { messageId: "later", messageType: 1, bodyEncoding: 1 },
          body: Buffer.from("later"),
        },
      ],
    });
    assert.equal(status?.code, internalError);
    assert.match(status?.message ?? "", /EIO: the disk is gone/);
    assert.match(broker.notReady ?? "", /EIO: the disk is gone/);
    client.close();
    await broker.close();

    const [again, fresh] = await openBroker(folder, nodeDisk);
    assert.equal(again.notReady, undefined);
    assert.equal(await send(fresh, "t", "three"), ok);
    const found = await receiveAll(fresh, "after", ["one", "two", "three"]);
    assert.ok(!found.includes("later"));
    fresh.close();
    await again.close();
    await rm(folder, { recursive: true });
  });
});
