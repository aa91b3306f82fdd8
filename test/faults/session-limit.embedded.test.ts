import { describeSessionLimit } from './session-limit.suite';

describeSessionLimit('embedded', {});
