"""Run the websocket thread: ccxt.pro connects, we read every frame."""
