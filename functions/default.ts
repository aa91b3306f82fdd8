import { openLog } from '../lib/compose';
import { parseFrame, pongFrame, unknownAction } from '../lib/frames';
import { messageRoute } from '../lib/route';

/** `$default`: answers `ping`, and explains what no other route takes. */
export const handler = messageRoute(openLog('default'), (event) => {
  const { action, id } = parseFrame(event.body);
  if (action !== 'ping') throw unknownAction(action);
  return pongFrame(id);
});
