// Which chapters are run together. Each suite is a process with a browser of its own, so that their waiting
// overlaps; they are so many and of such lengths that two cores are busy and not more.

import { look } from "./chapters/console/look.mjs";
import { load } from "./chapters/console/load.mjs";
import { rules } from "./chapters/console/rules.mjs";
import { use } from "./chapters/console/use.mjs";
import { drops } from "./chapters/client/drops.mjs";
import { fallback } from "./chapters/client/fallback.mjs";
import { faults } from "./chapters/client/faults.mjs";
import { react } from "./chapters/client/react.mjs";
import { sharing } from "./chapters/client/tabs.mjs";
import { tokens } from "./chapters/client/tokens.mjs";
import { views } from "./chapters/client/views.mjs";
import { gzip } from "./chapters/gzip.mjs";
import { native } from "./chapters/native.mjs";
import { origins } from "./chapters/origins.mjs";
import { restarts } from "./chapters/restarts.mjs";

export const faulty = [faults, fallback];
export const kept = [drops, sharing, tokens, views, react];
export const page = [look, use, rules, load, native, gzip, origins, restarts];
