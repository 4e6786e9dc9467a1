"""How label maps are kept: the containers, the dump that reads them back, resuming, COCO."""
