"""What happens in each fault that dead letters can meet; `harness.py` drives real workers into real crashes."""
