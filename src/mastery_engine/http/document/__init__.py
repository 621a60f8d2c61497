"""What people read in the OpenAPI document beside the types: sentences, examples, failures. ``described`` adds it."""
