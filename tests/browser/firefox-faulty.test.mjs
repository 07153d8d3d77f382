import { suite } from "./suite.mjs";
import { faulty } from "./suites.mjs";

suite("firefox", faulty);
