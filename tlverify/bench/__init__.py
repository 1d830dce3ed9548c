"""Many instances (a network and a property each) decided by workers, with results that survive an interruption."""
