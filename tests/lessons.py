"""The answers of the notebooks that we ship: written for the lesson, by prompt, and no model's.

`make_notebooks.py` executes the notebooks with them, and the tests do the same and compare.
"""

from __future__ import annotations

import csv
import json
import zlib
from pathlib import Path

SCRIPTED = "They were written for this lesson (scripted); they are no model's."
"""What the cassettes of our notebooks say of their answers."""

MEDIAN = """\
<<think The reader has just started; one sentence for the idea, one for when to use it.>><<say The **median** is the middle \
value of sorted data: half of the values lie below it, half above. It is the better summary when a few extreme values, such as \
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
        '<<say I will have a look.>><<tool Bash {"command": "ls", "description": "List the files here"}>>'
        "<<say The notebook that you are reading, `quickstart.ipynb`, is here.>>"
    ),
    "Suggest a file name for these notes. Answer with the name only.": "<<say medians.md>>",
    "What did we talk about first?": "<<say About medians: what one is, and when it is better than a mean.>>",
}


def _write(path: str, content: str) -> str:
    return f"<<tool Write {json.dumps({'file_path': path, 'content': content})}>>"


_MEAN = "```python\ndef mean(numbers):\n    return sum(numbers) / len(numbers)\n```"
_MEAN_2 = "```python\ndef mean(numbers):\n    return sum(numbers) / len(numbers) if numbers else 0.0\n```"
_CELSIUS = "```python\ndef celsius(fahrenheit):\n    return (fahrenheit - 32) * 5 / 9\n```"
_TEST = """\
```python
from temperature import celsius


def test_water():
    assert celsius(32) == 0
    assert celsius(212) == 100
```"""

SESSIONS = {
    "Name one good habit for naming variables.": "<<say Say what a value means, not its type: `age_years`, not `int_age`.>>",
    "Give an example of that from physics.": "<<say `speed_m_per_s = distance_m / time_s`: the units tell that it is right.>>",
    "And one from finance.": "<<say `price_eur` and `rate_percent`: nobody will add the two by accident.>>",
    "What have we talked about? One line.": "<<say Names for variables: meaning, not type; from physics and finance.>>",
    "Write a function mean(numbers) in Python.": f"<<say It divides the sum by the count:\n\n{_MEAN}>>",
    "mean([]) raised ZeroDivisionError. Return 0.0 for an empty list.": f"<<say An empty list gives 0.0 now:\n\n{_MEAN_2}>>",
    "Step 1: a module `temperature` with celsius(fahrenheit).": f"<<say The module has one function:\n\n{_CELSIUS}>>",
    "Step 2: a function test_water() that tests it at the freezing and the boiling point of water.": (
        f"<<say It checks 32 °F and 212 °F:\n\n{_TEST}>>"
    ),
    "A title for my notes on sessions, in three words.": "<<say Talking in Turns>>",
    "Shorter.": "<<say In Turns>>",
    "Where were we?": "<<say This is a new session, so I know nothing of an earlier one. What shall we start with?>>",
    "Say hello in Latin.": "<<say Salve!>>",
    "And goodbye.": "<<say Vale!>>",
}


def _kernel(tool: str, **arguments: str) -> str:
    return f"<<tool mcp__kernel__{tool} {json.dumps(arguments)}>>"


_CLEAN = """\
days["city"] = days["city"].str.strip().str.title()
days["celsius"] = pd.to_numeric(days["celsius"], errors="coerce")
days["day"] = pd.to_datetime(days["day"])
days = days.drop_duplicates().reset_index(drop=True)
days.info()
"""

_PLOT = """\
import matplotlib.pyplot as plt

for city, rows in days.groupby("city"):
    plt.plot(rows["day"].dt.day, rows["celsius"], marker="o", label=city)
plt.xlabel("day of July")
plt.ylabel("°C")
plt.legend()
plt.show()
"""

_WARMEST = """\
# The warmest day of each city
days.loc[days.groupby("city")["celsius"].idxmax()]
"""

_NOTES = """\
# What was done to `days`

- city names: spaces removed, capitals made alike
- `celsius`: numbers; `n/a` became missing
- `day`: dates
- one row that was there twice: kept once
"""

DATA = {
    "Which variables are there, and what is wrong with `days`?": _kernel("list_variables")
    + _kernel("inspect_variable", name="days")
    + """<<say `days` holds eight measurements, and four things in it will get in your way:

1. `city` is written in several ways: `Bern`, `bern`, ` Basel`.
2. `celsius` is text, and one value is `n/a`.
3. `day` is text, too.
4. The last row is there twice.>>""",
    "Correct these four things in `days`.": _kernel("run_code", code=_CLEAN)
    + "<<say `days` has seven rows now; `celsius` holds numbers, one of them missing, and `day` dates.>>",
    "Plot the temperature of both cities. What do you see?": _kernel("run_code", code=_PLOT)
    + "<<say It gets warmer until 3 July, and Basel is the warmer city. Bern's line has a gap on 2 July: the missing value.>>",
    "What does the plot above show, and why does the difference look so large?": (
        '<<tool mcp__kernel__read_cells {"numbers": [7]}>>'
        "<<say The mean temperature of both cities. The axis begins at 20 °C, not at 0: so Basel's bar looks more than twice "
        "as high as Bern's, though Basel was only two degrees warmer.>>"
    ),
    "How many days were warmer than 22 °C in Basel? Use my function.": (
        '<<tool mcp__kernel__warmer_than {"celsius": 22, "city": "Basel"}>>'
        "<<say Two: 2 July with 23.5 °C, and 3 July with 26.5 °C.>>"
    ),
    "Propose a cell that finds the warmest day of each city.": _kernel("add_cell", source=_WARMEST)
    + "<<say The cell below finds it with `idxmax`, which leaves missing values out. Run it if you like it.>>",
    "Write notes.md: what was done to the data.": _write("notes.md", _NOTES) + "<<say `notes.md` lists the four corrections.>>",
    "Save `days` with a shell command.": (
        '<<tool Bash {"command": "python save_days.py", "description": "Save the table"}>>'
        '<<say I was not allowed to run that. `days.to_csv("days.csv")` in a cell of yours does it without me.>>'
    ),
}

_VERDICTS = [
    {"day": "Mon", "km_per_hour": 21.0, "verdict": "normal"},
    {"day": "Tue", "km_per_hour": 26.0, "verdict": "fast"},
    {"day": "Wed", "km_per_hour": 12.0, "verdict": "slow"},
    {"day": "Thu", "km_per_hour": 20.0, "verdict": "normal"},
]

EXPLORING = {
    "What should I know before I work with this table? One sentence.": (
        '<<say `hours` holds text, not numbers: convert it, for example with `rides["hours"].astype(float)`, '
        "before you calculate with it.>>"
    ),
    "How do I mend this? One sentence.": (
        "<<say `hours` is text here, so divide by `float(hours)`, or convert the column once with "
        '`rides["hours"] = rides["hours"].astype(float)`.>>'
    ),
    "Rate each ride as slow, normal or fast.": f"<<tool StructuredOutput {json.dumps({'value': _VERDICTS})}>>",
    "A title for my week on the bicycle, in three words.": "<<say Four Good Rides>>",
    "What have we talked about so far? One sentence.": (
        "<<say About one thing: the column `hours` of your table `rides` is text and must be converted.>>"
    ),
    "A name for a column with kilometres per hour. The name, and why.": (
        "<<model sonnet>><<say `speed`: it is short, and everybody knows what it means.>>"
        "<<model opus>><<say `km_per_hour`: it is short, and it says the unit.>>"
    ),
    "One word for 42 km on a bicycle.": "<<say Solid>>",
    "One word for 65 km on a bicycle.": "<<say Long>>",
    "One word for 18 km on a bicycle.": "<<say Easy>>",
    "One word for 80 km on a bicycle.": "<<say Epic>>",
}

_SINE = """\
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 2 * np.pi, 200)
plt.plot(x, np.sin(x))
plt.show()
"""

_CHECKS = """\
| check | how |
| --- | --- |
| the right files | notebook and cassette are in one directory |
| a fresh kernel | restart it and run all cells, with the network off |
| the right size | `presentation`, and the browser's zoom |
"""

_LEARNING = """\
Here is the frame; the line in the middle is yours.

```python
def mean(numbers):
    total = 0
    for number in numbers:
        ...  # TODO(human): add the number to the total
    return total / len(numbers)
```

**Learn by doing.** Write that one line. What would `mean([])` do, and is that what you want?"""

TEACHING = {
    "Why would I record a lesson? Two sentences.": (
        "<<say So that it runs the same every time, with a bad network or none, and costs nothing. Your students get the very "
        "answers that you have read and prepared for.>>"
    ),
    "What should I check before the lesson begins? A short table.": f"<<say {_CHECKS}>>",
    "Plot one period of a sine wave.": _kernel("run_code", code=_SINE)
    + "<<say It begins at 0, reaches 1 and -1, and comes back to 0.>>",
    "Help me write a function that averages a list of numbers.": f"<<say {_LEARNING}>>",
    "Say in one sentence what a cassette is.": "<<say A recording of a notebook's turns that can be played again, as often as "
    "you like and without me.>>",
}

_MESSAGES = Path(__file__).parent.parent / "notebooks" / "many-rows.csv"
_QUESTIONS = {
    "short": "What is this message about?",
    "careful": "What does the sender of this message want from us? Whoever wants money back writes about billing, whatever "
    "came before.",
}
_HARD = {"the mixer arrived broken": "product", "that I returned": "delivery", "the price change": "other"}
"""What a hasty reader takes some messages for."""
_HASTY = {("short", "haiku"): 85, ("short", "sonnet"): 80, ("careful", "haiku"): 12, ("careful", "sonnet"): 8}
"""How many in a hundred of those, by prompt and model."""


def _labels(text: str, topic: str, style: str) -> str:
    """Return the answers to a message, by model."""
    mistaken = next((wrong for words, wrong in _HARD.items() if words in text), "")
    said = []
    for model in ("haiku", "sonnet"):
        is_hasty = zlib.crc32(f"{text} {model}".encode()) % 100 < _HASTY[style, model]
        answer = json.dumps({"topic": mistaken if mistaken and is_hasty else topic})
        said.append(f"<<model {model}>><<tool StructuredOutput {answer}>>")
    return "".join(said)


def _many_rows() -> dict[str, str]:
    with _MESSAGES.open(encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["topic"]) for row in csv.DictReader(file)]
    return {
        f"{question}\n\n{text}": _labels(text, topic, style) for style, question in _QUESTIONS.items() for text, topic in rows
    }


LESSONS: dict[str, dict[str, str]] = {
    "quickstart.ipynb": QUICKSTART,
    "exploring.ipynb": EXPLORING,
    "teaching.ipynb": TEACHING,
    "sessions.ipynb": SESSIONS,
    "working-with-your-data.ipynb": DATA,
    "many-rows.ipynb": _many_rows(),
}


def answer(prompt: str) -> str | None:
    """Return the directives for a prompt of any lesson; one that holds values is known by its first line."""
    known = (prompt, prompt.partition("\n")[0])
    return next((script[text] for script in LESSONS.values() for text in known if text in script), None)
