// Makes the store whose files are kept in golden/store-1: small, with every type of record, groups,
// several segments and queue files. The same bytes each time.
// `npx tsx test/format/golden-store.ts` writes them; only for a new version of the format.
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { type RecordDraft, RecordType, type Store, tagHash } from "../../broker/store/index.ts";
import { ManualClock } from "../../broker/store/testkit/manual-clock.ts";
import { beginStore } from "../../broker/store/testkit/open-store.ts";
import { SimulatedDisk } from "../../broker/store/testkit/simulated-disk.ts";

/** Where the golden files are. */
export const goldenFolder: string = fileURLToPath(new URL("golden/store-1", import.meta.url));

/** How the golden store is opened. */
export const goldenOptions = { mappedFileSizeCommitLog: 640, queueFileEntries: 4 } as const;

const noBytes = new Uint8Array(0);

function message(queueId: number, text: string): RecordDraft {
  return {
    type: RecordType.message,
    topic: "orders",
    queueId,
    systemProperties: Buffer.from(`system ${text}`),
    userProperties: Buffer.from(`user ${text}`),
    body: Buffer.from(text),
    tagHash: tagHash("created"),
    messageGroupHash: 2 ** 40 + queueId,
  };
}

function note(type: number, text: string): RecordDraft {
  const body = Buffer.from(text);
  return {
    type,
    flags: 1,
    topic: "",
    queueId: -1,
    systemProperties: noBytes,
    userProperties: noBytes,
    body,
  };
}

/** Texts of the messages in each queue of the golden store. */
export const goldenQueues: readonly (readonly string[])[] = [
  ["a", "c", "e", "g", "i", "k"],
  ["b", "d", "f", "h", "j", "ü"],
];

/** The closed golden store on a disk of its own. */
export async function makeGoldenStore(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const clock = new ManualClock();
  const store: Store = await beginStore(disk, { ...goldenOptions, clock });
  for (let index = 0; index < 5; index += 1) {
    clock.pass(10);
    for (const [queueId, texts] of goldenQueues.entries()) {
      await store.append([message(queueId, texts[index] ?? "")]);
    }
  }
  await store.append([
    message(0, "k"),
    { ...message(1, "ü"), type: RecordType.deliveredTimer },
    note(RecordType.progress, "progress"),
  ]);
  for (const type of [
    RecordType.halfMessage,
    RecordType.transactionEnd,
    RecordType.metadata,
    RecordType.snapshot,
  ]) {
    await store.append([note(type, `type ${type}`)]);
  }
  await store.close();
  return disk;
}

/** Paths of the files of a store, without its folder. */
export function filesOf(disk: SimulatedDisk): string[] {
  return disk.paths().map((path) => path.slice("/data/".length));
}

async function write(): Promise<void> {
  const disk = await makeGoldenStore();
  for (const name of filesOf(disk)) {
    await mkdir(dirname(`${goldenFolder}/${name}`), { recursive: true });
    await writeFile(`${goldenFolder}/${name}`, disk.bytesOf(`/data/${name}`));
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await write();
