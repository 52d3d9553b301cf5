import { afterAll, beforeAll, describe } from "bun:test";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** Chromium, where this machine has one: at CHROMIUM_PATH, or on the PATH under one of its names. */
function executable(): string | undefined {
  const given = process.env.CHROMIUM_PATH;
  if (given) return given;
  const folders = (process.env.PATH ?? "").split(":");
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(runs);
}

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Tests that need a browser; without one it is said that they did not run.
 * @param tests are given a function that opens a page: 320 px wide, without scripts (unless said otherwise), with no past
 */
export function withBrowser(
  name: string,
  tests: (open: (over?: BrowserContextOptions) => Promise<Page>) => void,
): void {
  const executablePath = executable();
  if (executablePath === undefined) {
    process.stdout.write(`not run: ${name} (no chromium)\n`);
    return;
  }
  describe(name, () => {
    let browser: Browser;
    beforeAll(async () => {
      // Root may not have a sandbox around it; these pages are our own.
      const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
      browser = await chromium.launch({ executablePath, args, timeout: 60_000 });
    }, 60_000);
    afterAll(() => browser?.close(), 60_000);
    tests(async (over) => {
      const context = await browser.newContext({
        javaScriptEnabled: false,
        viewport: { width: 320, height: 640 },
        ...over,
      });
      return context.newPage();
    });
  });
}
