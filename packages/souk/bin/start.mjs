#!/usr/bin/env node
import { launch } from "./launch.mjs";

launch(["up", ...process.argv.slice(2)]);
