import { describeShards } from './shards.suite';

describeShards('the embedded broker', {});
