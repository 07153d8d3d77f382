import { suite } from "./suite.mjs";
import { page } from "./suites.mjs";

suite("chromium", page);
