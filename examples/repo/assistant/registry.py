# Which trainer a method's name stands for.
import trl

TRAINERS = {
    'orpo': trl.ORPOTrainer,
    'dpo':  trl.DPOTrainer,
}
