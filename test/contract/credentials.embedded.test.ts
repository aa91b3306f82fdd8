import { embeddedWithUser } from '../helpers/broker-with-user';
import { describeCredentials } from './credentials.suite';

describeCredentials('the embedded broker', embeddedWithUser);
