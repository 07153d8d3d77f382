import { suite } from "./suite.mjs";
import { client } from "./suites.mjs";

suite("firefox", client);
