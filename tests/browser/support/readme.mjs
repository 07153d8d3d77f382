// What the documents tell people to write, as they would copy it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./hub.mjs";

/** The blocks of code in `language` under the heading `heading` of README.md, in order. */
export function snippets(heading, language) {
  const text = readFileSync(join(ROOT, "README.md"), "utf8");
  const section = text.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`));
  if (!section) throw new Error(`README.md has no heading ${heading}`);
  const blocks = [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)];
  return blocks.filter(([, of]) => of === language).map(([, , code]) => code);
}

/** The only one. */
export function snippet(heading, language) {
  const found = snippets(heading, language);
  if (found.length !== 1) throw new Error(`README.md has ${found.length} ${language} blocks under ${heading}`);
  return found[0];
}
