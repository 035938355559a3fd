// Runs `cometmq` from its sources: what `npm run dev` starts and restarts.
import { runCometmq } from "./cometmq/main.ts";

await runCometmq(process.argv.slice(2));
