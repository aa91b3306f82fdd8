/**
 * The authorizer as serverless-offline understands it. API Gateway answers 401 where an authorizer throws an error with the
 * message "Unauthorized". serverless-offline does so where one returns that text: it takes any error for a fault, prints
 * its stack and answers 500.
 */
exports.handler = async (event, context) => {
  // Each time anew: Node's cache has the last bundle.
  const { handler } = require('../../dist/local/authorizer.js');
  try {
    return await handler(event, context);
  } catch (error) {
    if (error.message !== 'Unauthorized') throw error;
    console.log(`Refused a client: ${error.cause}`);
    return 'Unauthorized';
  }
};
