"""Does the search find what is known, shrink it to the least, and leave what is right alone?"""
