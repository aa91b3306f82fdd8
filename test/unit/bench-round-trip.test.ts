import { expect, test } from '@jest/globals';
import { type Connect, type Heard, openClient, takeTurns } from '../bench/round-trip/client';

/** A gateway that does to each message what it is given, before the sending returns. */
function gatewayThat(answers: (heard: Heard, id: string) => void): Connect {
  return async (heard) => (id) => answers(heard, id);
}

test('a round trip tells what was lost, refused, never acknowledged, misdelivered or answered twice', async () => {
  let another: Heard = () => {};
  const gateways = {
    answered: gatewayThat((heard, id) => {
      another = heard;
      heard('acked', id);
      heard('replied', id);
    }),
    lost: gatewayThat((heard, id) => heard('acked', id)),
    refused: gatewayThat((heard) => heard('refused')),
    unacked: gatewayThat((heard, id) => heard('replied', id)),
    misdelivered: gatewayThat((heard, id) => {
      heard('acked', id);
      another('replied', id);
    }),
    twice: gatewayThat((heard, id) => {
      heard('acked', id);
      heard('replied', id);
      heard('replied', id);
    }),
  };
  const clients = await Promise.all(Object.entries(gateways).map(([name, connect]) => openClient(name, connect)));

  const figures = await takeTurns(clients, 0, 0);

  // What came to the wrong client is lost to its own.
  expect(figures).toMatchObject({ acked: 4, lost: 2, refused: 1, unacked: 1, misdelivered: 1, duplicates: 1 });
});

test('a reply of a turn before, that comes a second time, is a duplicate and no answer', async () => {
  const turns: string[] = [];
  const gateway = gatewayThat((heard, id) => {
    turns.push(id);
    heard('acked', id);
    heard('replied', turns[0]);
  });
  const clients = [await openClient('late', gateway)];

  expect(await takeTurns(clients, 0, 0)).toMatchObject({ acked: 1, lost: 0, duplicates: 0 });
  expect(await takeTurns(clients, 0, 0)).toMatchObject({ acked: 1, lost: 1, duplicates: 1 });
});
