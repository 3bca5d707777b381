"""MLflow: which store, which run, which registered model. Only ``pipelines/`` and the command line import this."""
