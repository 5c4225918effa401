"""Known bugs, planted around the user's own handler and in the state that his test gives: which of them would this test
have noticed?"""
