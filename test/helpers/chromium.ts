import { createRequire } from 'node:module';
import { type Browser, chromium } from 'playwright-core';

/** Debian's Chromium, without a window. */
export function openBrowser(): Promise<Browser> {
  const { chromium: executablePath } = createRequire(__filename)('./left-out.cjs');
  return chromium.launch({ executablePath });
}
