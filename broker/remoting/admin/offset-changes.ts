// Sets offsets of a group for an operator, and says what came of each.
import type { cometmq } from "@cometmq/proto";
import type { OffsetReset } from "../../delivery/index.ts";
import type { LocalParts } from "../context.ts";

/** Sets all of them or none; what would go forward stays as it is with `onlyBack`. Throws what `Offsets.reset` throws. */
export async function setOffsets(
  offsets: LocalParts["delivery"]["offsets"],
  wanted: readonly OffsetReset[],
  { onlyBack }: { readonly onlyBack: boolean },
): Promise<cometmq.v1.IOffsetChange[]> {
  const kept: cometmq.v1.IOffsetChange[] = [];
  const resets = wanted.filter(({ place, offset }) => {
    const known = offsets.get(place);
    const isKept = onlyBack && known !== undefined && offset > known;
    if (!isKept) return true;
    kept.push({ queueId: place.queueId, before: known, after: known, dropped: 0, changed: false });
    return false;
  });
  const outcomes = await offsets.reset(resets);
  const changed = resets.map(({ place: { queueId }, offset }, index) => {
    const { before, dropped = 0 } = outcomes[index] ?? {};
    const told = { queueId, after: offset, dropped, changed: true };
    return before === undefined ? told : { ...told, before };
  });
  return [...kept, ...changed].sort((a, b) => (a.queueId ?? 0) - (b.queueId ?? 0));
}
