"""A language model that judges a sample of answers, where the user names one: relevance, precision, faithfulness, hallucination."""
