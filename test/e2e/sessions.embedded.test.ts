import { describeSessions } from './sessions.suite';

describeSessions('the embedded broker', {});
