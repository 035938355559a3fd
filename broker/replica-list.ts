// The slaves that a master has ever had, in a small file: whom it asks before it serves again.
import { join } from "node:path";
import type { Logger } from "../base/index.ts";
import type { ReplicaPlace } from "./ha/index.ts";
import { type Disk, readWhole, replaceWhole } from "./store/index.ts";

const name = "replicas";

/** Brokers of the group by id, as they were seen last. */
export class ReplicaList {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #known: Map<number, ReplicaPlace>;
  #saving: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, folder: string, known: Map<number, ReplicaPlace>) {
    this.#disk = disk;
    this.#folder = folder;
    this.#known = known;
  }

  /** Reads the list; an empty one when there is none, or none that can be read. */
  static async open(disk: Disk, folder: string, logger: Logger): Promise<ReplicaList> {
    const bytes = await readWhole(disk, join(folder, name));
    const known = new Map<number, ReplicaPlace>();
    if (bytes !== undefined) {
      try {
        for (const place of JSON.parse(bytes.toString("utf8")) as ReplicaPlace[]) {
          known.set(place.brokerId, place);
        }
      } catch {
        logger.warn("the list of replicas cannot be read and starts anew", { folder });
      }
    }
    return new ReplicaList(disk, folder, known);
  }

  /** Every broker known. */
  all(): readonly ReplicaPlace[] {
    return [...this.#known.values()];
  }

  /** Notes where a broker is; resolves when that is durable. */
  note(place: ReplicaPlace): Promise<void> {
    const known = this.#known.get(place.brokerId);
    if (known?.haAddress === place.haAddress && known.grpcAddress === place.grpcAddress) {
      return this.#saving;
    }
    this.#known.set(place.brokerId, place);
    const run = this.#saving.then(() => this.#save());
    this.#saving = run.catch(() => {});
    return run;
  }

  #save(): Promise<void> {
    const bytes = Buffer.from(JSON.stringify(this.all()));
    return replaceWhole(this.#disk, { folder: this.#folder, name }, bytes);
  }
}
