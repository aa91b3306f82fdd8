import { randomUUID } from 'node:crypto';
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { leaseSeconds } from '../../lib/connections';
import { type Appending, createSessions, type Holder, type NewReply, type Sessions } from '../../lib/session/sessions';
import { isSessionId, sessionLimits } from '../../lib/session/state';
import type { SessionStore } from '../../lib/session/store';

/** What sessions promise on every store. The clock stands still unless a test moves it. */
export function describeSessions(name: string, openStore: () => Promise<SessionStore>): void {
  describe(`sessions on ${name}`, () => {
    let store: SessionStore;
    let sessions: Sessions;
    let now: number;
    let deadline: number;
    const clock = () => now;

    beforeAll(async () => {
      store = await openStore();
    });

    beforeEach(() => {
      now = 1_800_000_000_000;
      deadline = now + 20_000;
      sessions = createSessions(store, clock);
    });

    const waitFor = (seconds: number) => {
      now += seconds * 1000;
      deadline = now + 20_000;
    };

    const holder = (userId?: string): Holder => ({
      connectionId: randomUUID(),
      connectedAt: now,
      ...(userId === undefined ? {} : { userId }),
    });

    const reply = (content: string): NewReply => ({ frame: JSON.stringify({ event: 'recv', data: content }) });
    const known = (content: string): NewReply => ({ ...reply(content), identity: content });
    const replies = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, index) => reply(`r${from + index}`));

    /** Opened, on a connection of its own. */
    async function opened(userId?: string) {
      const first = holder(userId);
      const { session, token, endsAt } = await sessions.open(first, deadline);
      const claim = (after: number) => ({ session, token, after });
      const append = (added: readonly NewReply[]) => sessions.append(session, added, deadline);
      const resume = (after: number, by = holder(userId)) => sessions.resume(by, claim(after), deadline);
      const received = (seq: number, by = first) => sessions.received(session, by.connectionId, seq, deadline);
      const detach = (by = first) => sessions.detach(session, by.connectionId, deadline);
      const caughtUp = (seq: number, by: Holder) => sessions.caughtUp(session, by.connectionId, seq, deadline);
      return { session, token, endsAt, first, claim, append, resume, received, detach, caughtUp };
    }

    /** What a new connection gets after `after`: each seq with the data of its frame. */
    async function seen(of: Awaited<ReturnType<typeof opened>>, after = 0) {
      const resumed = await of.resume(after);
      if (resumed.result !== 'resumed') throw new Error(JSON.stringify(resumed));
      return resumed.replies.map(({ seq, frame }) => `${seq} ${JSON.parse(frame).data}`);
    }

    const seqsOf = (appended: Appending) => (appended.result === 'stored' ? appended.seqs : []);

    describe('one that is opened', () => {
      test('has a public id, a token that is not stored, and an end', async () => {
        const { session, token, endsAt } = await opened();
        expect(isSessionId(session)).toBe(true);
        expect(token).toMatch(/^[\w-]{43}$/);
        expect(endsAt).toBe(now + 86_400_000);
        expect(JSON.stringify(await store.load(session))).not.toContain(token);
      });

      test('numbers its replies 1, 2, 3, ... and has them posted to its connection', async () => {
        const { append, first } = await opened();
        expect(await append(replies(1, 2))).toEqual({
          result: 'stored',
          postTo: first.connectionId,
          readsBatches: false,
          abandoned: [],
          seqs: [
            { seq: 1, is: 'new' },
            { seq: 2, is: 'new' },
          ],
        });
        expect(await append([reply('r3')])).toMatchObject({ seqs: [{ seq: 3, is: 'new' }] });
      });

      test('knows of each connection whether its client reads several replies in one frame', async () => {
        const { session, token } = await sessions.open({ ...holder(), readsBatches: true }, deadline);
        const append = () => sessions.append(session, replies(1, 1), deadline);
        const take = (by: Holder) => sessions.resume(by, { session, token, after: 0 }, deadline);
        expect(await append()).toMatchObject({ result: 'stored', readsBatches: true });
        const next = holder();
        expect(await take(next)).toMatchObject({ result: 'resumed' });
        await sessions.caughtUp(session, next.connectionId, 1, deadline);
        expect(await append()).toMatchObject({ postTo: next.connectionId, readsBatches: false });
        waitFor(1);
        const last = { ...holder(), readsBatches: true };
        expect(await take(last)).toMatchObject({ result: 'resumed' });
        await sessions.caughtUp(session, last.connectionId, 2, deadline);
        expect(await append()).toMatchObject({ postTo: last.connectionId, readsBatches: true });
        // By a version that knows nothing of this.
        const { state, version } = (await store.load(session)) as NonNullable<Awaited<ReturnType<typeof store.load>>>;
        await store.save({ ...state, connectionId: 'another' }, version);
        expect(await append()).toMatchObject({ postTo: 'another', readsBatches: false });
        await store.save(state, version + 2);
        await sessions.detach(session, last.connectionId, deadline);
      });

      test('is nobody’s who was not told of it', async () => {
        const other = await opened();
        const { append } = await opened();
        await append(replies(1, 3));
        expect(await seen(other)).toEqual([]);
      });
    });

    describe('one that is taken over', () => {
      test('gives every reply after the last that the client has, in order', async () => {
        const session = await opened();
        await session.append(replies(1, 2));
        await session.append(replies(3, 3));
        await session.detach();
        await session.append(replies(4, 5));
        expect(await seen(session)).toEqual(['1 r1', '2 r2', '3 r3', '4 r4', '5 r5']);
        expect(await seen(session, 1)).toEqual(['2 r2', '3 r3', '4 r4', '5 r5']);
        expect(await seen(session, 5)).toEqual([]);
      });

      test('says how far it is, until when it lives, and who held it', async () => {
        const { append, resume, endsAt, first } = await opened();
        await append(replies(1, 2));
        waitFor(10);
        expect(await resume(2)).toEqual({
          result: 'resumed',
          seq: 2,
          endsAt,
          replies: [],
          previous: [first.connectionId],
        });
      });

      test('names no previous holder where there is none, or where it is the same', async () => {
        const { resume, first, detach } = await opened();
        expect(await resume(0, first)).toMatchObject({ previous: [] });
        await detach();
        expect(await resume(0)).toMatchObject({ previous: [] });
      });

      test('belongs to the later of two that fight for it', async () => {
        const { resume, append, received, caughtUp, first } = await opened();
        const second = holder();
        const third = holder();
        await resume(0, second);
        expect(await resume(0, third)).toMatchObject({ previous: [first.connectionId, second.connectionId] });
        for (const loser of [first, second]) {
          expect(await caughtUp(0, loser)).toEqual({ result: 'superseded' });
          expect(await received(0, loser)).toBe('not_holder');
        }
        expect(await caughtUp(0, third)).toEqual({ result: 'live' });
        expect(await append([reply('r1')])).toMatchObject({ postTo: third.connectionId });
      });

      test('is not disturbed by the late disconnect of its old connection', async () => {
        const { resume, append, caughtUp, detach, first } = await opened();
        const second = holder();
        await resume(0, second);
        await detach(first);
        expect(await caughtUp(0, second)).toEqual({ result: 'live' });
        await detach(first);
        expect(await append([reply('r1')])).toMatchObject({ postTo: second.connectionId });
      });

      test('is taken over again by the connection that holds it, which so mends a gap', async () => {
        const { append, resume, caughtUp, first } = await opened();
        await append(replies(1, 3));
        expect(await resume(1, first)).toMatchObject({ seq: 3, replies: [{ seq: 2 }, { seq: 3 }] });
        expect(await caughtUp(3, first)).toEqual({ result: 'live' });
      });

      test('is not taken over by a connection to which it is replayed, until that is over', async () => {
        const { append, resume, first } = await opened();
        await append(replies(1, 3));
        expect(await resume(0, first)).toMatchObject({ result: 'resumed' });
        expect(await resume(0, first)).toEqual({ result: 'superseded' });
        waitFor(20);
        expect(await resume(1, first)).toMatchObject({ seq: 3, replies: [{ seq: 2 }, { seq: 3 }] });
        expect(await resume(1, first)).toEqual({ result: 'superseded' });
        expect(await resume(1)).toMatchObject({ result: 'resumed', previous: [first.connectionId] });
      });
    });

    describe('a claim', () => {
      const refused = (reason: string) => ({ result: 'refused', reason });

      test('is refused for a session that never was', async () => {
        const { claim } = await opened();
        const other = `session_${'x'.repeat(22)}`;
        expect(await sessions.resume(holder(), { ...claim(0), session: other }, deadline)).toEqual(refused('unknown'));
      });

      test('is refused with another token, and changes nothing', async () => {
        const { session, claim, append, first } = await opened();
        const { token } = await opened();
        const before = await store.load(session);
        for (const wrong of [token, '', 'é'.repeat(43)]) {
          expect(await sessions.resume(holder(), { ...claim(0), token: wrong }, deadline)).toEqual(refused('unknown'));
        }
        expect(await store.load(session)).toEqual(before);
        expect(await append([reply('r1')])).toMatchObject({ postTo: first.connectionId });
      });

      test('is refused to any other user, to whom a token tells nothing', async () => {
        const ofAlice = await opened('alice');
        const ofNobody = await opened();
        expect(await ofAlice.resume(0, holder('bob'))).toEqual(refused('unknown'));
        expect(await ofAlice.resume(0, holder())).toEqual(refused('unknown'));
        expect(await ofNobody.resume(0, holder('alice'))).toEqual(refused('unknown'));
        expect(await ofAlice.resume(0, holder('alice'))).toMatchObject({ result: 'resumed' });
      });

      test('is refused from the moment at which the session’s time without a connection is over', async () => {
        const { resume, detach, append, session } = await opened();
        const second = holder();
        await detach();
        waitFor(sessionLimits.ttlSeconds - 0.001);
        expect(await resume(0, second)).toMatchObject({ result: 'resumed' });
        await detach(second);
        waitFor(sessionLimits.ttlSeconds + 0.001);
        expect(await resume(0)).toEqual(refused('unknown'));
        expect(await append([reply('late')])).toEqual({ result: 'gone' });
        expect(await sessions.received(session, second.connectionId, 0, deadline)).toBe('not_holder');
      });

      test('that began in time is refused all the same once a reply found the time over', async () => {
        const { session, claim, detach, append } = await opened();
        await detach();
        waitFor(sessionLimits.ttlSeconds - 1);
        let struck = false;
        const slow: SessionStore = {
          ...store,
          async save(...change) {
            if (!struck) {
              struck = true;
              waitFor(2);
              expect(await append([reply('late')])).toEqual({ result: 'gone' });
            }
            return store.save(...change);
          },
        };
        const resumed = await createSessions(slow, clock).resume(holder(), claim(0), deadline);
        expect(resumed).toEqual(refused('too_old'));
        expect((await store.load(session))?.state).not.toHaveProperty('connectionId');
      });

      test('changes nothing where a connection that was opened later has the session', async () => {
        const { resume, detach, append } = await opened();
        const [earlier, later] = [holder(), { ...holder(), connectedAt: now + 1 }];
        await resume(0, later);
        expect(await resume(0, earlier)).toEqual({ result: 'superseded' });
        await detach(later);
        await append([reply('in between')]);
        expect(await resume(0, earlier)).toMatchObject({ result: 'resumed', seq: 1 });
      });

      test('changes nothing while its own connection is replayed to, unless that took too long', async () => {
        const { resume, caughtUp } = await opened();
        const second = holder();
        await resume(0, second);
        const end = deadline;
        waitFor((end - now - 1) / 1000);
        expect(await resume(0, second)).toEqual({ result: 'superseded' });
        now = end;
        expect(await resume(0, second)).toMatchObject({ result: 'resumed' });
        expect(await caughtUp(0, second)).toEqual({ result: 'live' });
        expect(await resume(0, second)).toMatchObject({ result: 'resumed' });
      });

      test('cannot bring back what a late disconnect finds expired', async () => {
        const { resume, detach } = await opened();
        waitFor(leaseSeconds + sessionLimits.ttlSeconds + 1);
        await detach();
        expect(await resume(0)).toEqual(refused('unknown'));
      });

      test('is refused once the lease of a connection whose end nobody told is over, and that time as well', async () => {
        const { resume, received, caughtUp } = await opened();
        const last = holder();
        waitFor(leaseSeconds + sessionLimits.ttlSeconds - 0.001);
        expect(await resume(0, last)).toMatchObject({ result: 'resumed' });
        waitFor(leaseSeconds + sessionLimits.ttlSeconds + 0.001);
        expect(await resume(0)).toEqual(refused('unknown'));
        expect(await received(0, last)).toBe('not_holder');
        expect(await caughtUp(0, last)).toEqual({ result: 'superseded' });
      });

      test('is refused where a reply is forgotten that the client says it has not', async () => {
        const { resume, append, received } = await opened();
        await append(replies(1, 3));
        await received(2);
        expect(await resume(1)).toEqual(refused('incomplete'));
        expect(await resume(2)).toMatchObject({ replies: [{ seq: 3 }] });
      });

      test('is refused where the client says it has what there never was', async () => {
        const { resume, append } = await opened();
        await append(replies(1, 3));
        expect(await resume(4)).toEqual(refused('incomplete'));
        expect(await resume(Number.NaN)).toEqual(refused('incomplete'));
      });

      test('is refused where a page is missing, and the session is over for everybody', async () => {
        const { session, resume, append, received, first } = await opened();
        await append(replies(1, 1));
        await append(replies(2, 2));
        const [lost] = (await store.load(session))?.state.pages ?? [];
        await store.deletePages(session, [lost?.id as string]);
        expect(await resume(0)).toEqual(refused('incomplete'));
        expect(await resume(2)).toEqual(refused('incomplete'));
        expect(await received(2)).toBe('not_holder');
        const end = { result: 'ended', reason: 'incomplete', connectionId: first.connectionId };
        expect(await append([reply('r3')])).toEqual(end);
      });

      test('is answered while a page is missing that the client has', async () => {
        const { session, resume, append } = await opened();
        await append(replies(1, 1));
        await append(replies(2, 2));
        const [lost] = (await store.load(session))?.state.pages ?? [];
        await store.deletePages(session, [lost?.id as string]);
        expect(await resume(1)).toMatchObject({ result: 'resumed', replies: [{ seq: 2 }] });
      });
    });

    describe('a reply', () => {
      test('between two connections is kept, and given to the next', async () => {
        const session = await opened();
        await session.detach();
        expect(await session.append([reply('r1')])).toEqual({
          result: 'stored',
          abandoned: [],
          seqs: [{ seq: 1, is: 'new' }],
        });
        expect(await seen(session)).toEqual(['1 r1']);
      });

      test('during a replay is posted by nobody else, until the replay has found it and is over', async () => {
        const { append, resume, caughtUp } = await opened();
        const second = holder();
        await append([reply('r1')]);
        expect(await resume(0, second)).toMatchObject({ seq: 1 });
        expect(await append([reply('r2')])).toEqual({ result: 'stored', abandoned: [], seqs: [{ seq: 2, is: 'new' }] });
        expect(await append([reply('r3')])).not.toHaveProperty('postTo');
        const missed = [
          { seq: 2, frame: reply('r2').frame },
          { seq: 3, frame: reply('r3').frame },
        ];
        expect(await caughtUp(1, second)).toEqual({ result: 'more', replies: missed });
        expect(await caughtUp(3, second)).toEqual({ result: 'live' });
        expect(await append([reply('r4')])).toMatchObject({ postTo: second.connectionId });
        expect(await caughtUp(3, second)).toEqual({ result: 'live' });
      });

      test('after a replay that nobody ended is kept, and its connection is given up', async () => {
        const session = await opened();
        const second = holder();
        await session.resume(0, second);
        now = deadline;
        deadline = now + 20_000;
        const abandoned = [session.first.connectionId, second.connectionId];
        expect(await session.append([reply('r1')])).toEqual({
          result: 'stored',
          abandoned,
          seqs: [{ seq: 1, is: 'new' }],
        });
        // Its closing may have failed.
        expect(await session.append([reply('r2')])).toMatchObject({ abandoned });
        await session.detach(second);
        expect(await session.append([reply('r3')])).toMatchObject({ abandoned: [session.first.connectionId] });
        await session.detach();
        const seqs = [{ seq: 4, is: 'new' }];
        expect(await session.append([reply('r4')])).toEqual({ result: 'stored', abandoned: [], seqs });
        expect(await seen(session)).toEqual(['1 r1', '2 r2', '3 r3', '4 r4']);
      });

      test('is no reason to close who lost the session, where that one was told', async () => {
        const { append, resume, caughtUp, detach } = await opened();
        const second = holder();
        await resume(0, second);
        expect(await caughtUp(0, second)).toEqual({ result: 'live' });
        await detach(second);
        expect(await append([reply('r1')])).toMatchObject({ abandoned: [] });
      });

      test('that is missing during a replay ends the session', async () => {
        const { session, append, resume, caughtUp } = await opened();
        const second = holder();
        await resume(0, second);
        await append([reply('r1')]);
        const [lost] = (await store.load(session))?.state.pages ?? [];
        await store.deletePages(session, [lost?.id as string]);
        expect(await caughtUp(0, second)).toEqual({ result: 'incomplete' });
        expect(await resume(0)).toEqual({ result: 'refused', reason: 'incomplete' });
      });

      test('that comes again keeps its number: posted again, unless the client has it', async () => {
        const session = await opened();
        await session.append([known('a'), known('b')]);
        await session.received(1);
        const again = await session.append([known('a'), known('b'), known('c'), known('c')]);
        expect(seqsOf(again)).toEqual([
          { seq: 1, is: 'received' },
          { seq: 2, is: 'copy' },
          { seq: 3, is: 'new' },
          { seq: 3, is: 'copy' },
        ]);
        expect(await seen(session, 1)).toEqual(['2 b', '3 c']);
      });

      test('without an identity is new each time', async () => {
        const { append } = await opened();
        await append([reply('a')]);
        expect(seqsOf(await append([reply('a')]))).toEqual([{ seq: 2, is: 'new' }]);
      });

      test('is known again after as many as a batch has, and not for ever', async () => {
        const { append, received } = await opened();
        await append(Array.from({ length: sessionLimits.identities }, (_, index) => known(`${index}`)));
        await received(sessionLimits.identities);
        expect(seqsOf(await append([known('0')]))).toEqual([{ seq: 1, is: 'received' }]);
        await append([known('one more')]);
        expect(seqsOf(await append([known('0')]))).toEqual([{ seq: sessionLimits.identities + 2, is: 'new' }]);
      });

      test('of any characters comes back as it was', async () => {
        const session = await opened();
        const content = '\u0000 é 漢 𝄞 \ud800 "\\';
        await session.append([reply(content)]);
        expect(await seen(session)).toEqual([`1 ${content}`]);
      });
    });

    describe('what a client has received', () => {
      test('is forgotten, and what it has not is kept', async () => {
        const session = await opened();
        await session.append(replies(1, 3));
        await session.append(replies(4, 6));
        const pageIds = async () => (await store.load(session.session))?.state.pages.map(({ id }) => id) ?? [];
        const [first, second] = (await pageIds()) as [string, string];
        expect(await session.received(4)).toBe('noted');
        expect(await pageIds()).toEqual([second]);
        expect([...(await store.pages(session.session, [first, second])).keys()]).toEqual([second]);
        expect(await seen(session, 4)).toEqual(['5 r5', '6 r6']);
      });

      test('may be told twice, and late', async () => {
        const { append, received, resume } = await opened();
        await append(replies(1, 3));
        for (const seq of [2, 2, 1, 0]) expect(await received(seq)).toBe('noted');
        expect(await resume(1)).toEqual({ result: 'refused', reason: 'incomplete' });
        expect(await resume(2)).toMatchObject({ replies: [{ seq: 3 }] });
      });

      test('is not more than there is', async () => {
        const { append, received } = await opened();
        await append(replies(1, 3));
        expect(await received(4)).toBe('ahead');
        expect(await received(Number.NaN)).toBe('ahead');
        expect(await received(3)).toBe('noted');
      });

      test('needs no replay', async () => {
        const { append, resume, received, caughtUp } = await opened();
        const second = holder();
        await resume(0, second);
        await append(replies(1, 3));
        await received(3, second);
        expect(await caughtUp(0, second)).toEqual({ result: 'live' });
      });
    });

    describe('a session ends with its reason', () => {
      test('at too many replies that nobody receives', async () => {
        const { append, resume, detach, first } = await opened();
        expect(await append(replies(1, sessionLimits.maxReplies))).toMatchObject({ result: 'stored' });
        const end = { result: 'ended', reason: 'too_many_replies' };
        expect(await append([reply('one more')])).toEqual({ ...end, connectionId: first.connectionId });
        // Until the connection is known to have ended, it may not know.
        expect(await append([reply('another')])).toEqual({ ...end, connectionId: first.connectionId });
        await detach();
        expect(await append([reply('another')])).toEqual({ result: 'gone' });
        expect(await resume(0)).toEqual({ result: 'refused', reason: 'too_many_replies' });
      });

      test('not where they are received', async () => {
        const { append, received } = await opened();
        await append(replies(1, sessionLimits.maxReplies));
        await received(1);
        expect(await append([reply('one more')])).toMatchObject({ result: 'stored' });
      });

      test('at too many bytes, counted as UTF-8', async () => {
        const { append, resume, detach } = await opened();
        await detach();
        const { length } = JSON.stringify({ event: 'recv', data: '' });
        const large = reply('é'.repeat((sessionLimits.maxBytes / 8 - length) / 2));
        expect(Buffer.byteLength(large.frame)).toBe(sessionLimits.maxBytes / 8);
        expect(await append(Array(4).fill(large))).toMatchObject({ result: 'stored' });
        expect(await append(Array(4).fill(large))).toMatchObject({ result: 'stored' });
        expect(await append([{ frame: '1' }])).toEqual({ result: 'ended', reason: 'too_many_bytes' });
        expect(await append([{ frame: '1' }])).toEqual({ result: 'gone' });
        expect(await resume(8)).toEqual({ result: 'refused', reason: 'too_many_bytes' });
      });

      test('at too great an age', async () => {
        const { append, resume, first } = await opened();
        let last = first;
        for (let hours = 0; hours < 24; hours += 1) {
          last = holder();
          await resume(0, last);
          waitFor(3600);
        }
        expect(await resume(0)).toEqual({ result: 'refused', reason: 'too_old' });
        const end = { result: 'ended', reason: 'too_old', connectionId: last.connectionId };
        expect(await append([reply('late')])).toEqual(end);
      });

      test('and tells it as long as it would have waited for a connection', async () => {
        const { append, resume, detach } = await opened();
        await append(replies(1, sessionLimits.maxReplies + 1));
        await detach();
        waitFor(sessionLimits.ttlSeconds - 1);
        expect(await resume(0)).toEqual({ result: 'refused', reason: 'too_many_replies' });
        waitFor(1);
        expect(await resume(0)).toEqual({ result: 'refused', reason: 'unknown' });
      });
    });

    test('a record is written over what was loaded alone', async () => {
      const { session } = await opened();
      const { state, version } = (await store.load(session)) ?? {};
      if (state === undefined) throw new Error('not stored');
      expect(version).toBe(1);
      for (const other of [0, 2]) expect(await store.save({ ...state, lastSeq: 7 }, other)).toBe('conflict');
      expect(await store.load(session)).toEqual({ state, version });
      expect(await store.save({ ...state, lastSeq: 7 }, 1)).toBe('saved');
      expect(await store.load(session)).toEqual({ state: { ...state, lastSeq: 7 }, version: 2 });
    });

    describe('pages', () => {
      test('that no record lists do not exist', async () => {
        const session = await opened();
        await store.putPage(session.session, 'orphan', [reply('orphan').frame], now / 1000 + 60);
        await session.append([reply('r1')]);
        expect(await seen(session)).toEqual(['1 r1']);
      });

      test('are as many as a large batch needs, and come back in order', async () => {
        const session = await opened();
        const batch = Array.from({ length: 9 }, (_, index) => reply(`${index}`.repeat(100_000)));
        expect(await session.append(batch)).toMatchObject({ result: 'stored' });
        const { pages = [] } = (await store.load(session.session))?.state ?? {};
        expect(pages.map(({ firstSeq, count }) => [firstSeq, count])).toEqual([
          [1, 2],
          [3, 2],
          [5, 2],
          [7, 2],
          [9, 1],
        ]);
        const frameOf = (seq: number) => batch[seq - 1]?.frame;
        const resumed = await session.resume(3);
        expect(resumed).toMatchObject({
          seq: 9,
          replies: [4, 5, 6, 7, 8, 9].map((seq) => ({ seq, frame: frameOf(seq) })),
        });
      });

      test('may be many: each reply by itself', async () => {
        const session = await opened();
        for (let count = 1; count <= 130; count += 1) await session.append([reply(`r${count}`)]);
        expect(await seen(session)).toEqual(Array.from({ length: 130 }, (_, index) => `${index + 1} r${index + 1}`));
        await session.detach();
        const last = holder();
        await session.resume(0, last);
        expect(await session.received(130, last)).toBe('noted');
        expect((await store.load(session.session))?.state).toMatchObject({ lastSeq: 130, receivedSeq: 130, pages: [] });
      });
    });

    describe('a write whose fate is unknown', () => {
      type Fate = 'done, and the answer lost' | 'done, and answered by a conflict with itself' | 'not done';

      /** A store whose next save has that fate. */
      function unlucky(fate: Fate): SessionStore {
        let struck = false;
        return {
          ...store,
          async save(...change) {
            if (struck) return store.save(...change);
            struck = true;
            if (fate !== 'not done') expect(await store.save(...change)).toBe('saved');
            if (fate === 'done, and answered by a conflict with itself') return 'conflict';
            throw new Error('no answer');
          },
        };
      }

      const fates: Fate[] = ['done, and the answer lost', 'done, and answered by a conflict with itself', 'not done'];

      describe.each(fates)('%s', (fate) => {
        const unluckySessions = () => createSessions(unlucky(fate), clock);

        test('opens one session', async () => {
          const { session, token } = await unluckySessions().open(holder(), deadline);
          expect((await store.load(session))?.version).toBe(1);
          expect(await sessions.resume(holder(), { session, token, after: 0 }, deadline)).toMatchObject({ seq: 0 });
        });

        test('stores a reply once', async () => {
          const session = await opened();
          const appended = await unluckySessions().append(session.session, replies(1, 2), deadline);
          expect(seqsOf(appended)).toEqual([
            { seq: 1, is: 'new' },
            { seq: 2, is: 'new' },
          ]);
          expect(await seen(session)).toEqual(['1 r1', '2 r2']);
        });

        test('takes a session over once, and knows who held it', async () => {
          const { session, claim, first, append } = await opened();
          await append(replies(1, 2));
          const second = holder();
          const resumed = await unluckySessions().resume(second, claim(0), deadline);
          expect(resumed).toMatchObject({ previous: [first.connectionId], replies: [{ seq: 1 }, { seq: 2 }] });
          expect((await store.load(session))?.version).toBe(3);
        });

        test('does not take a session from who took it over later', async () => {
          const { session, claim, resume } = await opened();
          const [second, third] = [holder(), holder()];
          const losing = unlucky(fate);
          const interrupted: SessionStore = {
            ...losing,
            save: async (...change) => {
              try {
                return await losing.save(...change);
              } finally {
                if (change[0].connectionId === second.connectionId && fate !== 'not done') await resume(0, third);
              }
            },
          };
          expect(await createSessions(interrupted, clock).resume(second, claim(0), deadline)).toMatchObject({ seq: 0 });
          const holds = fate === 'not done' ? second : third;
          expect((await store.load(session))?.state.connectionId).toBe(holds.connectionId);
        });

        test('notes what is received, ends a replay, and detaches', async () => {
          const { session, append, resume } = await opened();
          await append(replies(1, 2));
          const second = holder();
          await resume(0, second);
          expect(await unluckySessions().caughtUp(session, second.connectionId, 2, deadline)).toEqual({
            result: 'live',
          });
          expect(await unluckySessions().received(session, second.connectionId, 1, deadline)).toBe('noted');
          await unluckySessions().detach(session, second.connectionId, deadline);
          const { state } = (await store.load(session)) ?? {};
          expect(state).toMatchObject({ receivedSeq: 1 });
          expect(state).not.toHaveProperty('connectionId');
          expect(state).not.toHaveProperty('replayUntil');
        });

        test('ends a session with its reason', async () => {
          const { session, append, detach } = await opened();
          await append(replies(1, sessionLimits.maxReplies));
          await detach();
          const end = await unluckySessions().append(session, [reply('one more')], deadline);
          expect(end).toEqual({ result: 'ended', reason: 'too_many_replies' });
        });
      });
    });

    describe('a change that another forestalls', () => {
      /** A store before whose first save something else happens; and how much is put there and read at once. */
      function forestalled(by: () => Promise<unknown>) {
        let struck = false;
        const put: number[] = [];
        const read: number[] = [];
        const racing: SessionStore = {
          ...store,
          async save(...change) {
            if (!struck) {
              struck = true;
              await by();
            }
            return store.save(...change);
          },
          putPage: (...page) => {
            put.push(page[2].length);
            return store.putPage(...page);
          },
          pages: (session, ids) => {
            read.push(ids.length);
            return store.pages(session, ids);
          },
        };
        return { put, read, sessions: createSessions(racing, clock) };
      }

      test('writes its pages once', async () => {
        const session = await opened();
        const { put, sessions } = forestalled(() => session.append([known('x')]));
        const appended = await sessions.append(session.session, [known('a'), known('b')], deadline);
        expect(seqsOf(appended).map(({ seq }) => seq)).toEqual([2, 3]);
        expect(put).toEqual([2]);
        expect(await seen(session)).toEqual(['1 x', '2 a', '3 b']);
      });

      test('but others where one of its replies is stored by now', async () => {
        const session = await opened();
        const { put, sessions } = forestalled(() => session.append([known('a')]));
        const appended = await sessions.append(session.session, [known('a'), known('b')], deadline);
        expect(seqsOf(appended).map(({ is }) => is)).toEqual(['copy', 'new']);
        expect(put).toEqual([2, 1]);
        expect(await seen(session)).toEqual(['1 a', '2 b']);
      });

      test('takes over what came meanwhile as well', async () => {
        const session = await opened();
        await session.append([reply('r1')]);
        const { sessions, read } = forestalled(() => session.append([reply('r2')]));
        const resumed = await sessions.resume(holder(), session.claim(0), deadline);
        expect(resumed).toMatchObject({ seq: 2, replies: [{ seq: 1 }, { seq: 2 }] });
        // No page is read twice, or a busy session would never be taken over.
        expect(read).toEqual([1, 1]);
      });

      test('ends no replay while a reply is left', async () => {
        const session = await opened();
        const second = holder();
        await session.resume(0, second);
        const { sessions } = forestalled(() => session.append([reply('r1')]));
        const progress = await sessions.caughtUp(session.session, second.connectionId, 0, deadline);
        expect(progress).toMatchObject({ result: 'more', replies: [{ seq: 1 }] });
      });

      test('is tried again after a pause, until the deadline', async () => {
        const pauses: number[] = [];
        const contended: SessionStore = { ...store, save: async () => 'conflict' };
        const pause = async (ms: number) => {
          pauses.push(ms);
          now += 1000;
        };
        const opening = createSessions(contended, clock, pause).open(holder(), deadline);
        await expect(opening).rejects.toThrow('in time');
        expect(pauses).toHaveLength(20);
        expect(Math.max(...pauses)).toBeLessThanOrEqual(500);
      });
    });

    describe('where the store fails', () => {
      /** The call does what it should before or instead of failing. */
      const failing = (call: keyof SessionStore, times: number): SessionStore => {
        let left = times;
        return {
          ...store,
          [call]: async (...args: never[]) => {
            left -= 1;
            if (left >= 0) throw new Error(`${call} failed`);
            return (store[call] as (...args: never[]) => Promise<unknown>)(...args);
          },
        };
      };

      test.each(['load', 'save', 'putPage'] as const)('an append outlives it: %s', async (call) => {
        const session = await opened();
        const appended = await createSessions(failing(call, 3), clock).append(session.session, [reply('r1')], deadline);
        expect(seqsOf(appended)).toEqual([{ seq: 1, is: 'new' }]);
        expect(await seen(session)).toEqual(['1 r1']);
      });

      test('a takeover outlives it', async () => {
        const { claim, append } = await opened();
        await append([reply('r1')]);
        const resumed = await createSessions(failing('pages', 3), clock).resume(holder(), claim(0), deadline);
        expect(resumed).toMatchObject({ replies: [{ seq: 1 }] });
      });

      test('what is received is noted, though its page cannot be deleted', async () => {
        const { session, append, first } = await opened();
        await append([reply('r1')]);
        const clumsy = createSessions(failing('deletePages', 1), clock);
        expect(await clumsy.received(session, first.connectionId, 1, deadline)).toBe('noted');
      });

      test('it rejects at the deadline, and says why', async () => {
        const dead = createSessions(failing('load', Number.POSITIVE_INFINITY));
        const failure = await dead.append('session_x', [reply('r1')], Date.now() + 100).catch((error: Error) => error);
        expect(failure).toMatchObject({ cause: { message: 'load failed' } });
      });

      test('it rejects at the deadline, though the store never answers', async () => {
        const silent = createSessions({ ...store, load: () => new Promise(() => undefined) });
        const endsAt = Date.now() + 100;
        await expect(silent.append('session_x', [reply('r1')], endsAt)).rejects.toThrow('in time');
        expect(Date.now()).toBeGreaterThanOrEqual(endsAt);
      });
    });

    describe('among many at the same time', () => {
      test('each reply has one number, without a hole, and all are kept until they are received', async () => {
        const session = await opened();
        let seq = 0;
        const appends = Array.from({ length: 50 }, async (_, index) => {
          const appended = await session.append([known(`${index}a`), known(`${index}b`)]);
          const seqs = seqsOf(appended).map((numbered) => numbered.seq);
          expect(seqs[1]).toBe((seqs[0] ?? 0) + 1);
          seq = Math.max(seq, ...seqs);
          expect(await session.received(Math.min(seq, 20))).toBe('noted');
          return seqs;
        });
        const seqs = (await Promise.all(appends)).flat().sort((a, b) => a - b);
        expect(seqs).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
        const kept = await seen(session, 20);
        expect(kept.map((text) => Number.parseInt(text, 10))).toEqual(seqs.slice(20));
        expect(new Set(kept.map((text) => text.replace(/\d+ /, ''))).size).toBe(80);
      });

      test('one copy of a reply is new', async () => {
        const session = await opened();
        const all = await Promise.all(Array.from({ length: 10 }, () => session.append([known('a'), known('b')])));
        expect(all.flatMap(seqsOf).filter(({ is }) => is === 'new')).toHaveLength(2);
        expect(await seen(session)).toEqual(['1 a', '2 b']);
      });

      test('one connection holds the session, and nothing is lost', async () => {
        const session = await opened();
        const holders = Array.from({ length: 5 }, () => holder());
        await Promise.all([
          ...holders.map((by) => session.resume(0, by)),
          ...replies(1, 20).map((one) => session.append([one])),
          session.detach(),
        ]);
        const caught = await Promise.all(holders.map((by) => session.caughtUp(20, by)));
        expect(caught.filter(({ result }) => result === 'live')).toHaveLength(1);
        expect(await seen(session)).toHaveLength(20);
      });
    });
  });
}
