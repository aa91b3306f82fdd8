import { connect, type Gateway, type GatewayError, type State } from '../../../lib/client';
import type { StackForPage } from '../web';
import { followBroker } from './broker';
import { Conversation } from './conversation';
import { byId } from './dom';
import { frameLog } from './frames';
import { failingNetwork } from './network';
import { SessionFacts } from './session';
import { tell, troubleOf, troubleOfEnd, troubleOfNewSession } from './trouble';

/** The page of the local stack: one connection by the client library, and all that can be seen of it. */

declare const stack: StackForPage;

const state = byId('state', HTMLElement);
const trouble = byId('trouble', HTMLElement);
const access = byId('access', HTMLFormElement);
const token = byId('token', HTMLInputElement);
const sending = byId('send', HTMLFormElement);
const prompt = byId('prompt', HTMLInputElement);
const cutting = byId('cut', HTMLFormElement);
const offline = byId('offline', HTMLSelectElement);

const conversation = new Conversation();
const facts = new SessionFacts();
const logFrame = frameLog();
const network = failingNetwork((way, text) => {
  logFrame(way, text);
  const frame = way === 'out' && JSON.parse(text);
  if (frame.action === 'send') conversation.sent(frame.id);
});

/** None before there is a token, where one is asked for. */
let gateway: Gateway | undefined;
let tunnel: ReturnType<typeof setTimeout> | undefined;
let isOffline = false;

function open(): void {
  trouble.hidden = true;
  sending.hidden = false;
  const opened = connect(stack.webSocketUrl, {
    session: 'auto',
    storage: sessionStorage,
    WebSocket: network.WebSocket,
    ...(stack.asksForTokens && { token: token.value.trim() }),
  });
  opened.on('state', ({ reason }) => {
    showState();
    if (reason === undefined || reason === 'closed') return;
    const again = { label: 'Begin a new session', act: openAnew };
    tell(trouble, troubleOfEnd(reason), reason === 'taken_over' ? again : undefined);
  });
  opened.on('session', (session) => {
    facts.show(session);
    if (session.reason === undefined) trouble.hidden = true;
    else tell(trouble, troubleOfNewSession(session.reason));
  });
  opened.on('recv', (reply) => {
    conversation.answered(reply);
    facts.received(reply);
  });
  opened.on('error', (error) => {
    if (error.id !== undefined) conversation.failed(error.id, error);
    else if (!isOffline) tell(trouble, troubleOf(error));
  });
  gateway = opened;
  showState();
}

function openAnew(): void {
  sessionStorage.clear();
  open();
}

const words: Record<State | 'offline', string> = {
  connecting: 'Connecting',
  open: 'Connected',
  waiting: 'Trying again soon',
  closed: 'Not connected',
  offline: 'Offline',
};

function showState(): void {
  const now = isOffline ? 'offline' : (gateway?.state ?? 'closed');
  state.dataset.state = now;
  state.textContent = words[now];
  access.hidden = !stack.asksForTokens || now === 'open' || now === 'offline';
}

function send(id: string, text: string): void {
  gateway?.send({ prompt: text }, { id }).then(
    (ack) => conversation.confirmed(id, ack),
    (error: GatewayError) => conversation.failed(id, error, () => send(id, text)),
  );
}

/** Of this load of the page, for the session outlives it. */
const load = Date.now().toString(36);
let sent = 0;

sending.addEventListener('submit', (event) => {
  event.preventDefault();
  sent += 1;
  const id = `${load}-${sent}`;
  conversation.add(id, prompt.value);
  send(id, prompt.value);
  prompt.value = '';
});

access.addEventListener('submit', (event) => {
  event.preventDefault();
  gateway?.close();
  open();
});

cutting.addEventListener('submit', (event) => {
  event.preventDefault();
  const offlineMs = Number(offline.value) * 1000;
  isOffline = offlineMs > 0;
  network.cut(offlineMs);
  clearTimeout(tunnel);
  tunnel = setTimeout(() => {
    isOffline = false;
    showState();
  }, offlineMs);
  showState();
});

sending.hidden = stack.asksForTokens;
if (stack.asksForTokens) showState();
else open();
followBroker();
