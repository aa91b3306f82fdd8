import { describeGateway } from './gateway.suite';

describeGateway('the embedded broker', {});
