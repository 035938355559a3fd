// Writes docs/configuration.md from the configuration tables: npm run docs:config.
import { writeFileSync } from "node:fs";
import { configurationPage } from "../config/docs-page.ts";

writeFileSync(new URL("../../docs/configuration.md", import.meta.url), configurationPage());
