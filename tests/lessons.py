"""The answers of the notebooks that we ship: written for the lesson, by prompt, and no model's.

`make_notebooks.py` executes the notebooks with them, and the tests do the same and compare.
"""

from __future__ import annotations

MEDIAN = """\
<<think The reader has just started; one sentence for the idea, one for when to use it.>><<say The **median** is the middle
value of sorted data: half of the values lie below it, half above. It is the better summary when a few extreme values, such as
one very high income, would pull the mean away from what is typical.>>"""

MEDIAN_IN_PYTHON = """\
<<say With the five numbers 1, 2, 3, 4 and 100 the two differ a lot:

```python
from statistics import mean, median

incomes = [1, 2, 3, 4, 100]
print(median(incomes), mean(incomes))
```

| summary | value |
| --- | ---: |
| median | 3 |
| mean | 22 |

The mean is $\\bar{x} = \\frac{1}{n} \\sum_i x_i$, so the 100 alone adds 20 to it.>>"""

QUICKSTART = {
    "In two sentences: what is a median, and when is it better than a mean?": MEDIAN,
    "Show me that in Python with five numbers, and put both results in a table.": MEDIAN_IN_PYTHON,
    "Which of the two would you report for house prices?": "<<say The median: a few villas would pull the mean up.>>",
    "Which files are in this directory?": (
        '<<say I will have a look.>><<tool Bash {"command": "ls *.ipynb", "description": "List the notebooks here"}>>'
        "<<say There is one notebook here, `quickstart.ipynb`: the one you are reading.>>"
    ),
    "Suggest a file name for these notes. Answer with the name only.": "<<say medians.md>>",
    "What did we talk about first?": "<<say About medians: what one is, and when it is better than a mean.>>",
}

LESSONS: dict[str, dict[str, str]] = {"quickstart.ipynb": QUICKSTART}


def answer(prompt: str) -> str | None:
    """Return the directives for a prompt of any lesson."""
    return next((script[prompt] for script in LESSONS.values() if prompt in script), None)
