def orpo_trainer():
    """Import late: TRL is slow to load."""
    try:
        from trl import ORPOTrainer
    except ImportError:
        from trl.experimental.orpo import ORPOTrainer
    return ORPOTrainer
