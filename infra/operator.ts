/**
 * Who an operator is to AWS: whatever the AWS CLI would take, such as a profile or a single sign-on. It is put into the
 * environment of this process, where the gateway's own code looks for it, and for nothing else.
 */
export async function logInToAws(): Promise<void> {
  // Loaded only where there is something to ask of AWS.
  const { defaultProvider } = await import('@aws-sdk/credential-provider-node');
  const { accessKeyId, secretAccessKey, sessionToken = '' } = await defaultProvider()();
  Object.assign(process.env, {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  });
}
