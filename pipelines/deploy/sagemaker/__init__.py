"""Training on Amazon SageMaker: inside its container, and the request that starts a job."""
