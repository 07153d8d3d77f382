import { suite } from "./suite.mjs";
import { kept } from "./suites.mjs";

suite("firefox", kept);
