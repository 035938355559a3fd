// The page docs/configuration.md, made from the tables. Written by base/scripts/write-configuration-page.ts;
// a test compares it with the tables.
import { brokerRole } from "./broker.ts";
import type { ConfigKey } from "./keys.ts";
import { namesrvRole } from "./namesrv.ts";
import { standaloneRole } from "./standalone.ts";

const opening = `# Configuration

<!-- Made by \`npm run docs:config\` from the tables in base/config. Do not edit. -->

\`bin/cometmq\`, \`bin/mqbroker\` and \`bin/mqnamesrv\` read their keys from four places; the first that sets a key wins:

1. flags: \`--brokerName broker-a\`; some keys have a short name too, see \`--help\`;
2. environment: \`COMETMQ_brokerName\` or \`COMETMQ_BROKER_NAME\` (dots become underscores);
3. the file given with \`-c\`: lines of \`key = value\`, as in RocketMQ's \`broker.conf\` and \`namesrv.conf\`;
4. the default.

A value that is not allowed stops the start with the key, the value and what is allowed. An unknown flag does so too. An
unknown key in a file or variable of the environment is a warning that names it, so that an existing RocketMQ file
starts. \`-p\` prints the configuration that would be used. \`mqadmin getBrokerConfig\` shows that of a running broker and
where each value came from; \`mqadmin updateBrokerConfig\` changes keys marked *live* until the process ends.

Sizes are bytes or carry a suffix (\`64MiB\`, \`1g\`); durations count in the unit of the table or carry one (\`500ms\`, \`5s\`,
\`30m\`, \`72h\`, \`3d\`). Keys that RocketMQ has too mean what they mean there.

As long as nobody is asked for a password, the ports listen on loopback only unless \`bindAddress\` is set.
`;

interface Section {
  readonly title: string;
  readonly intro: string;
  readonly keys: Readonly<Record<string, PageRow>>;
}

type PageRow = Pick<
  ConfigKey<never>,
  "kind" | "defaultText" | "unit" | "allowed" | "change" | "meaning"
>;

function differing(
  keys: Readonly<Record<string, PageRow>>,
  base: Readonly<Record<string, PageRow>>,
): Record<string, PageRow> {
  return Object.fromEntries(
    Object.entries(keys).filter(([key, row]) => {
      const other = base[key];
      return other?.defaultText !== row.defaultText || other.meaning !== row.meaning;
    }),
  );
}

const sections: readonly Section[] = [
  {
    title: "Broker (`bin/mqbroker`)",
    intro: "RocketMQ's `NAMESRV_ADDR` in the environment sets `namesrvAddr`, too.",
    keys: brokerRole.keys,
  },
  {
    title: "Standalone server (`bin/cometmq`)",
    intro:
      "All keys of a broker, with these differences and additions. Data of `--ephemeral` is not flushed (`ASYNC_FLUSH`) unless `flushDiskType` is set.",
    keys: differing(standaloneRole.keys, brokerRole.keys),
  },
  {
    title: "NameServer (`bin/mqnamesrv`)",
    intro: "A NameServer stores nothing, so there is little to configure.",
    keys: namesrvRole.keys,
  },
];

/** The text of docs/configuration.md. */
export function configurationPage(): string {
  const parts = sections.map(({ title, intro, keys }) => {
    const rows = Object.entries(keys).map(([key, row]) => tableRow(key, row));
    const head = "| key | default | allowed | change | meaning |\n|---|---|---|---|---|";
    return `## ${title}\n\n${intro}\n\n${head}\n${rows.join("\n")}\n`;
  });
  return `${opening}\n${parts.join("\n")}`;
}

function tableRow(key: string, row: PageRow): string {
  const unit = row.unit === "" || row.allowed.includes(row.unit) ? "" : `, ${row.unit}`;
  const fallback = row.defaultText === "" ? "none" : row.defaultText;
  const cells = [`\`${key}\``, fallback, `${row.allowed}${unit}`, row.change, row.meaning];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}
