import { describeClientFaults } from './clients.suite';

describeClientFaults('embedded', {});
