import { templateFaults } from './faults';
import type { Packaged } from './package';
import { asksWhoConnects, isCalledByItself, logsNoSecrets, throttles } from './rules/api';
import { keepsTheTables, showsADashboard, tellsWhoIsAsked } from './rules/data';
import { logsEnd, opensSessionsLast, runsOnArm, runsWhereItReaches, sendsWithinTheLimit } from './rules/functions';
import { isAsPublicAsSaid } from './rules/network';
import { grantsWhatIsCalled, namesResources } from './rules/permissions';
import { declaresWhatIsRead } from './rules/queues';
import { hasNoSecret } from './rules/secrets';

/** What holds of every deployment: a sentence, and what tells in which points a template falls short of it. */

export type Rule = (packaged: Packaged) => string[];

export const rules: Record<string, Rule> = {
  'it is a template that CloudFormation takes': ({ template, firstTemplate }) => [
    ...templateFaults(template),
    ...templateFaults(firstTemplate, { inline: true }),
  ],
  'each function may do what its code calls, and no more': grantsWhatIsCalled,
  'whatever is allowed is allowed on a resource by its name': namesResources,
  'no secret stands in plain text': hasNoSecret,
  'every queue is declared before it is read, and every reply queue is read once': declaresWhatIsRead,
  'functions run on ARM and Node 22, within the time that their caller waits': runsOnArm,
  'functions run where they reach the broker, and only those that use it': runsWhereItReaches,
  'logs end': logsEnd,
  'nobody opens a session before all functions know of sessions': opensSessionsLast,
  'send opens fewer connections than the broker takes': sendsWithinTheLimit,
  'the stage is throttled': throttles,
  'access logs tell nothing of what clients send, and no account is changed for them': logsNoSecrets,
  'who connects is asked where it is said, and nowhere else': asksWhoConnects,
  'only this API calls the functions of its routes': isCalledByItself,
  'the network is as public as it is said to be': isAsPublicAsSaid,
  'the tables are kept in production, and connections can be recovered': keepsTheTables,
  'alarms tell the topic': tellsWhoIsAsked,
  'the dashboard is one': showsADashboard,
};
