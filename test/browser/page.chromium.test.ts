import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import type { Browser, Page } from 'playwright-core';
import { openChannel, type TestChannel } from '../helpers/amqp';
import { openBrowser } from '../helpers/chromium';
import { root, type Stack, startStack } from '../helpers/stack';

/** The page of the local stack, as a person uses it: in a browser, on the whole stack. */

let browser: Browser;
beforeAll(async () => {
  browser = await openBrowser();
}, 30_000);
afterAll(() => browser?.close());

describe('the page', () => {
  let stack: Stack;
  let service: TestChannel;
  let page: Page;
  /** What the browser complained of. */
  let complaints: string[];

  beforeAll(async () => {
    stack = await startStack();
    service = await openChannel(stack.amqpUrl);
  }, 90_000);
  afterAll(async () => {
    await service?.close();
    await stack?.stop();
  }, 30_000);

  beforeEach(async () => {
    complaints = [];
    page = await newPage(stack, complaints, { width: 1000, height: 900 });
  }, 30_000);
  afterEach(async () => {
    await page.context().close();
    expect(complaints).toEqual([]);
  });

  /** A reply, as a service would lay it into the queue; resolves once it is there. */
  async function reply(body: unknown, options = {}): Promise<void> {
    const channel = await service.connection.createConfirmChannel();
    const bytes = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    channel.sendToQueue('ws_queue', bytes, { persistent: true, contentType: 'application/json', ...options });
    await channel.waitForConfirms();
    await channel.close();
  }

  async function replyToSession(answer: string): Promise<void> {
    const metadata = { socket_id: await sessionId(page) };
    await reply({ pattern: { cmd: 'recv' }, data: { answer, metadata } }, { messageId: answer });
  }

  test('takes a prompt, and shows it sent, confirmed and answered, with times', async () => {
    await send(page, 'hello');
    await page.locator('.reply').waitFor();
    expect(await replies(page)).toEqual(['The example worker has processed: hello']);
    const stages = await page.locator('.stage').allInnerTexts();
    expect(stages).toEqual([
      expect.stringMatching(/^sent\s+\d\d:\d\d:\d\d$/),
      expect.stringMatching(/^confirmed\s+\+[\d,]+ ms$/),
      expect.stringMatching(/^answered\s+\+[\d,]+ ms$/),
    ]);
    expect(await page.locator('#state').innerText()).toBe('Connected');
    expect(await facts(page)).toMatchObject({
      Id: expect.stringMatching(/^session_[\w-]{22}$/),
      Began: expect.stringMatching(/^\d\d:\d\d:\d\d$/),
      Resumed: 'never',
      'Last reply': 'number 1',
    });
    await queueRow('api_queue 0 1').waitFor();
    await queueRow('ws_queue.dead 0 0').waitFor();
  });

  const queueRow = (text: string) => page.getByRole('row', { name: text, exact: true });

  test('is what the README shows', async () => {
    await page.setViewportSize({ width: 1000, height: 760 });
    for (const [n, prompt] of [
      'What is a serverless gateway good for?',
      'And when my train is in a tunnel?',
    ].entries()) {
      if (n === 1) await page.getByRole('button', { name: 'Cut the connection' }).click();
      await send(page, prompt);
      await page.locator('.reply').nth(n).waitFor();
    }
    await page.getByText('once at').waitFor();
    const file = process.env.UPDATE_SCREENSHOT ? { path: join(root, 'docs/page.png') } : {};
    const png = await page.screenshot({ ...file, fullPage: true });
    expect(png.length).toBeLessThan(200_000);
  });

  test('shows the raw frames of both directions without the token, until it is paused', async () => {
    await send(page, 'one');
    await page.locator('.reply').waitFor();
    const frames = page.locator('.frame');
    await frames.filter({ hasText: '"action":"received"' }).waitFor();
    const texts = await frames.allInnerTexts();
    expect(texts.join('\n')).toContain('{"event":"ack"');
    expect(texts.join('\n')).toContain('"data":{"prompt":"one"}');
    const opened = texts.find((text) => text.includes('"ttlSeconds"'));
    expect(opened).toMatch(/"session":"session_[\w-]{22}","token":"\*\*\*"/);

    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: 'Clear' }).click();
    await send(page, 'two');
    await page.locator('.reply').nth(1).waitFor();
    expect(await frames.count()).toBe(0);
    await page.getByRole('button', { name: 'Pause' }).click();
    await frames.filter({ hasText: '"prompt":"two"' }).first().waitFor();
  });

  test('loses no reply that comes while the connection is cut, and shows each once and in order', async () => {
    await send(page, 'before');
    await page.locator('.reply').waitFor();
    await page.getByLabel('and stay offline').selectOption('for 5 seconds');
    await page.getByRole('button', { name: 'Cut the connection' }).click();
    await page.getByText('Offline', { exact: true }).waitFor();
    for (const answer of ['first', 'second', 'third']) await replyToSession(answer);
    // Nothing has told the gateway of the cut: it posts them to where nobody hears them.
    await page.locator('.frame[data-way="lost"]', { hasText: 'third' }).waitFor();
    expect(await page.locator('.reply').count()).toBe(1);

    await page.locator('.reply', { hasText: 'third' }).waitFor({ timeout: 15_000 });
    expect(await replies(page)).toEqual(['The example worker has processed: before', ...['first', 'second', 'third']]);
    const together = await page.locator('.frame', { hasText: 'got 3/3' }).innerText();
    expect(together).toMatch(/"event":"recv","seq":4,.*third/);
    expect(await facts(page)).toMatchObject({ Resumed: expect.stringMatching(/^once at/), 'Last reply': 'number 4' });
    await send(page, 'after');
    await page.locator('.reply', { hasText: 'after' }).waitFor();
    expect(await replies(page)).toHaveLength(5);
  });

  test('sends what was typed without a connection once there is one', async () => {
    await page.getByLabel('and stay offline').selectOption('for 5 seconds');
    await page.getByRole('button', { name: 'Cut the connection' }).click();
    await send(page, 'typed in the tunnel');
    expect(await page.locator('.stage').allInnerTexts()).toEqual([
      expect.stringMatching(/^sent\s+waiting$/),
      'confirmed',
      'answered',
    ]);
    await page.locator('.reply', { hasText: 'typed in the tunnel' }).waitFor({ timeout: 15_000 });
    expect(await replies(page)).toHaveLength(1);
  });

  test('goes on with its session when it is loaded again', async () => {
    await send(page, 'before');
    await page.locator('.frame', { hasText: '"action":"received"' }).waitFor();
    const { Id } = await facts(page);
    await page.reload();
    await page.getByText('Connected', { exact: true }).waitFor();
    expect(await facts(page)).toMatchObject({ Id, Began: 'before this page was loaded', 'Last reply': 'number 1' });
    await replyToSession('after');
    await page.locator('.reply', { hasText: 'after' }).waitFor();
    expect(await replies(page)).toEqual(['after']);
  });

  test('says when another tab has taken the session, and begins a new one', async () => {
    const { Id } = await facts(page);
    // The copy of a tab has a copy of its storage.
    const copying = page.waitForEvent('popup');
    await page.evaluate('void window.open(location.href)');
    const copy = await copying;
    await page.getByText('Another tab has this session now.').waitFor();
    expect(await facts(copy)).toMatchObject({ Id });
    await page.getByRole('button', { name: 'Begin a new session' }).click();
    await page.getByText('Connected', { exact: true }).waitFor();
    expect((await facts(page)).Id).not.toBe(Id);
    await send(page, 'on my own');
    await page.locator('.reply', { hasText: 'on my own' }).waitFor();
    expect(await copy.locator('.reply').count()).toBe(0);
  });

  test('shows dead letters as text, whatever stands in them', async () => {
    const body = '<img src=x onerror=alert(1)>';
    await reply(body, { messageId: '<b>r-17</b>' });
    const letter = page.locator('.letter');
    await letter.waitFor();
    expect(await letter.innerText()).toContain('malformed: no pattern');
    expect(await letter.innerText()).toContain(`<b>r-17</b> · ${body.length} bytes`);
    expect(await letter.locator('code').innerText()).toBe(body);
    await queueRow('ws_queue.dead 1 0').waitFor();
    await service.channel.purgeQueue('ws_queue.dead');
    await page.getByText('None.').waitFor();
  });

  test('says what went wrong with a message and what to do', async () => {
    await send(page, 'x'.repeat(140_000));
    const trouble = page.getByRole('alert').filter({ visible: true });
    await trouble.waitFor();
    expect(await trouble.innerText()).toMatch(/^The message is too large\.\s+too_large: .+\s+Send a shorter one/);
    expect(await page.getByRole('button', { name: 'Send again' }).count()).toBe(0);
  });

  test('lets a message that found no queue be sent again', async () => {
    await service.channel.deleteQueue('api_queue');
    await queueRow('api_queue missing 0').waitFor();
    await send(page, 'hello');
    const trouble = page.getByRole('alert').filter({ visible: true });
    await trouble.waitFor();
    expect(await trouble.innerText()).toMatch(/^There is no queue for it\.\s+unroutable: .+\s+Declare the queue/);
    await service.channel.assertQueue('api_queue', { durable: true });
    await page.getByRole('button', { name: 'Send again' }).click();
    await page.locator('.stage[data-at]', { hasText: 'confirmed' }).waitFor();
    expect(await trouble.count()).toBe(0);
    await page.locator('.reply').waitFor({ timeout: 20_000 });
  });

  test('can be used by the keyboard alone, and shows where it is', async () => {
    const stops: string[] = [];
    await page.getByRole('heading', { level: 1 }).click();
    for (let n = 0; n < 8; n += 1) {
      await page.keyboard.press('Tab');
      stops.push(await page.evaluate<string>('document.activeElement.id || document.activeElement.textContent'));
      expect(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle')).toBe('solid');
    }
    expect(stops).toEqual(['messages', 'prompt', 'Send', 'Cut the connection', 'offline', 'pause', 'clear', 'frames']);
    for (let n = 0; n < 6; n += 1) await page.keyboard.press('Shift+Tab');
    await page.keyboard.type('typed');
    await page.keyboard.press('Enter');
    await page.locator('.reply', { hasText: 'typed' }).waitFor();
    for (let n = 0; n < 2; n += 1) await page.keyboard.press('Tab');
    await page.keyboard.press('Space');
    await page.getByText('once at').waitFor();
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Cut the connection');
  });

  describe('with all that it can show', () => {
    beforeEach(async () => {
      await send(page, 'x'.repeat(140_000));
      await page.getByRole('alert').filter({ visible: true }).waitFor();
      const prompt = 'unbroken'.repeat(30);
      await send(page, prompt);
      await page.locator('.reply', { hasText: prompt }).waitFor();
      await reply('unbroken'.repeat(30), { messageId: 'r'.repeat(200) });
      await page.locator('.letter').waitFor();
    });
    afterEach(async () => {
      await service.channel.purgeQueue('ws_queue.dead');
    });

    test('fits a phone of 360 pixels', async () => {
      await page.setViewportSize({ width: 360, height: 740 });
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(360);
      expect(await page.evaluate(cutOff)).toEqual([]);
    });

    test.each(['light', 'dark'] as const)('can be read where it is %s', async (colorScheme) => {
      await page.emulateMedia({ colorScheme });
      const ground = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
      expect(ground).toBe({ light: 'rgb(246, 247, 247)', dark: 'rgb(20, 23, 26)' }[colorScheme]);
      const contrasts = await page.evaluate<[string, number][]>(contrastOfTexts);
      expect(contrasts.length).toBeGreaterThan(40);
      expect(contrasts.filter(([, ratio]) => ratio < 4.5)).toEqual([]);
    });
  });
});

describe('the page of a gateway that asks for tokens', () => {
  test('asks for one, says when it is no good, and connects with a good one', async () => {
    const secret = randomBytes(32).toString('hex');
    const stack = await startStack({ AUTH: 'jwt', JWT_SECRET: secret, JWT_ISSUER: 'me', JWT_AUDIENCE: 'gateway' });
    const page = await newPage(stack, []);
    try {
      await page.getByLabel('Token').fill('not.a.token');
      expect(await page.getByLabel('Prompt').isVisible()).toBe(false);
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByText('The gateway cannot be reached.').waitFor();
      const token = await new SignJWT()
        .setProtectedHeader({ alg: 'HS256' })
        .setIssuer('me')
        .setAudience('gateway')
        .setSubject('alice')
        .setExpirationTime('1h')
        .sign(Buffer.from(secret));
      await page.getByLabel('Token').fill(token);
      await page.getByRole('button', { name: 'Connect', exact: true }).click();
      await page.getByText('Connected', { exact: true }).waitFor();
      expect(await page.getByLabel('Token').isVisible()).toBe(false);
      await send(page, 'hello');
      await page.locator('.reply', { hasText: 'hello' }).waitFor();
      expect(await page.locator('#frames').innerText()).not.toContain(token);
    } finally {
      await page.context().close();
      await stack.stop();
    }
  }, 120_000);
});

/** Resolves once it is connected, where it needs no token for that. */
async function newPage(
  { pageUrl, output }: Stack,
  complaints: string[],
  viewport = { width: 1000, height: 900 },
): Promise<Page> {
  const context = await browser.newContext({ viewport });
  context.setDefaultTimeout(20_000);
  context.on('console', (message) => complaints.push(`${message.type()}: ${message.text()}`));
  context.on('weberror', (error) => complaints.push(String(error.error())));
  const page = await context.newPage();
  await page.goto(pageUrl);
  if (!output().includes('with a token')) await page.getByText('Connected', { exact: true }).waitFor();
  return page;
}

async function send(page: Page, prompt: string): Promise<void> {
  await page.getByLabel('Prompt').fill(prompt);
  await page.getByLabel('Prompt').press('Enter');
}

async function facts(page: Page): Promise<Record<string, string>> {
  const [names, values] = [page.locator('#session dt'), page.locator('#session dd')];
  const told = await values.allInnerTexts();
  return Object.fromEntries((await names.allInnerTexts()).map((name, n) => [name, told[n] ?? '']));
}

async function sessionId(page: Page): Promise<string> {
  return (await facts(page)).Id ?? '';
}

/** Their texts, in the order of the page. */
async function replies(page: Page): Promise<string[]> {
  const texts = await page.locator('.reply').allInnerTexts();
  return texts.map((text) => text.slice(text.indexOf('\n') + 1));
}

/** In the browser: texts that reach beyond the window, or beyond an element that hides what does not fit. */
const cutOff = `[...document.querySelectorAll('body *')]
  .filter((element) => element.checkVisibility() && !element.closest('.unseen'))
  .filter((element) => element.getBoundingClientRect().right > innerWidth || element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 0 && element.tagName !== 'INPUT')
  .map((element) => element.outerHTML.slice(0, 100))`;

/** In the browser: each element that has a text of its own, with the contrast to what is behind it, by WCAG 2. */
const contrastOfTexts = `(() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { backgroundColor } = getComputedStyle(at);
      if (channels(backgroundColor)[3] !== 0) return backgroundColor;
    }
  };
  return [...document.querySelectorAll('body *')]
    .filter((element) => element.checkVisibility())
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .map((element) => {
      const [lighter, darker] = [getComputedStyle(element).color, ground(element)].map(luminance).sort((a, b) => b - a);
      return [element.outerHTML.slice(0, 100), (lighter + 0.05) / (darker + 0.05)];
    });
})()`;
