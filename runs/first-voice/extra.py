#!/usr/bin/env python3
"""Writes extra.txt: short and modern things that people type and that the books lack. Deterministic; committed with its output.

    python extra.py > extra.txt
"""
import collections
import os
import random
import re

HERE = os.path.dirname(os.path.abspath(__file__))
RNG = random.Random(7)
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth "
            "seventeenth eighteenth nineteenth twentieth twenty-first twenty-second twenty-third twenty-fourth twenty-fifth twenty-sixth "
            "twenty-seventh twenty-eighth twenty-ninth thirtieth thirty-first").split()
MONTHS = "January February March April May June July August September October November December".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
NAMES = ("Anna Ben Carlos Daniel Emily Frank Grace Hannah Ivan James Karen Laura Michael Nina Oliver Peter Rachel Sarah Thomas Victor "
         "Maria David Sophie Alex Julia Robert Linda Kevin Amy Jack Zoe Olivia Noah Emma Liam Mia Lucas Chloe Ethan").split()
PLACES = ("London, Paris, Berlin, New York, Chicago, San Francisco, Tokyo, Boston, Seattle, Toronto, Sydney, Madrid, Rome, Dublin, Texas, "
          "California, Germany, France, India, China, Japan, Brazil, Canada, Mexico, Africa, Europe, Amsterdam, Vienna, Moscow, "
          "Los Angeles, Washington, Florida, Spain, Italy, Australia").split(", ")
THINGS = ("computer, phone, laptop, keyboard, screen, camera, printer, microphone, battery, charger, website, browser, password, email, "
          "message, video, photo, file, folder, server, network, database, program, app, update, download, link, button, calendar, robot, "
          "speaker, headphone, television, radio, car, bicycle, train, bus, plane, airport, station, hotel, restaurant, kitchen, "
          "refrigerator, microwave, coffee machine, pizza, sandwich, banana, chocolate, coffee, tea, milk, salad, apple, orange juice, "
          "office, meeting, project, report, budget, schedule, ticket, passport, hospital, doctor, medicine, vaccine, school, teacher, "
          "student, university, exam, library, book, newspaper, magazine, movie, song, guitar, piano, football, basketball, game, "
          "garden, weather, umbrella, jacket, shirt, shoe, wallet, key, credit card, bank account, account number, window, door, "
          "elevator, satellite, rocket, spaceship, engine, electricity, solar panel, neural network, language model, algorithm, "
          "data center, microchip, processor, memory card, headset, tablet, smartphone, notification, playlist, podcast, channel").split(", ")
ADJECTIVES = ("new old fast slow cheap expensive broken beautiful tiny huge digital electric wireless online local open closed red blue green "
              "yellow purple black white simple complicated modern reliable strange quiet loud heavy light empty full warm cold").split()
TOPICS = ("artificial intelligence, machine learning, climate change, public transport, software engineering, open source software, quantum "
          "physics, the stock market, the weather, the internet, social media, video games, speech synthesis, music, cooking, photography, "
          "space travel, electric cars, renewable energy, healthy food, basketball, history, mathematics, biology, chemistry, economics, "
          "psychology, programming, cyber security, virtual reality, the news, the environment, education, genetics").split(", ")
VERBS = ("open close check fix sell buy find clean replace upgrade share move install restart test connect remove charge borrow "
         "send describe carry lose print protect explain design paint measure record").split()
GREETINGS = ("Hello. Hello there. Hi. Hi there. Hey. Good morning. Good afternoon. Good evening. Good night. Goodbye. Bye. See you later. See you "
             "tomorrow. See you soon. Thanks. Thank you. Thank you very much. You're welcome. No problem. Sorry. I'm sorry. Excuse me. Please. Yes. "
             "No. Maybe. Okay. Sure. Of course. Absolutely. Exactly. Never mind. Well done. Congratulations! Happy birthday! Merry Christmas! "
             "Happy New Year! Welcome. Welcome back. Welcome home. Good luck! Have fun! Take care. Have a nice day. Have a great weekend. Enjoy your "
             "meal. Nice to meet you. Long time no see. Good to see you. Talk to you later. Cheers! Wow! Oh no! Oops. Great! Perfect. Awesome! Hooray! "
             "Help! Stop! Wait! Careful! Look out! Be quiet. Come in. Come here. Go away. Sit down. Stand up. Hurry up! Let's go. Calm down. "
             "Follow me. Listen. Look at this. Try again. Keep going. Not yet. Not now. Me too. I know. I see. I agree. I don't know. I don't think so. "
             "I think so. That's right. That's wrong. That's fine. That's all. It works. It's over. We did it. Testing, testing. One, two, three. "
             "Hello, world! Hello, everyone. Hello, my friend. This is a test. This is only a test. Can you hear me? Is this working? "
             "How are you? How are you doing? How is it going? What's up? What's your name? Where are you? Where are you from? Who are you? Who is "
             "there? What is this? What is that? What time is it? What day is it? How old are you? How much is it? How many? How long? How far? "
             "Why? Why not? When? Where? Who? Which one? Really? Are you sure? Are you ready? Are you okay? Is it true? Do you understand? Can you help me? "
             "Could you repeat that, please? May I come in? What happened? What's wrong? What's the matter? What do you mean? What do you "
             "think? What do you want? Shall we go? Anything else? Any questions? The quick brown fox jumps over the lazy dog. She sells "
             "sea shells by the sea shore. Peter Piper picked a peck of pickled peppers. How much wood would a woodchuck chuck? "
             "To be or not to be, that is the question. Once upon a time, there was a little girl. The rain in Spain stays mainly in the plain. "
             "All work and no play makes Jack a dull boy.")


def number(n):
    """0 .. 999,999,999 in words."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + ("-" + ONES[n % 10] if n % 10 else "")
    if n < 1000:
        link = RNG.choice((" ", " and "))
        return ONES[n // 100] + " hundred" + (link + number(n % 100) if n % 100 else "")
    for size, name in ((1_000_000, "million"), (1000, "thousand")):
        if n >= size:
            return number(n // size) + " " + name + (" " + number(n % size) if n % size else "")
    raise ValueError(n)


def year():
    n = RNG.choice((RNG.randint(1500, 1999), RNG.randint(1950, 1999), RNG.randint(2000, 2009), RNG.randint(2010, 2040)))
    if 2000 <= n < 2010:
        return "two thousand" + (" and " + ONES[n % 10] if n % 10 else "")
    return number(n // 100) + " " + ("hundred" if n % 100 == 0 else "oh " + ONES[n % 100] if n % 100 < 10 else number(n % 100))


def time():
    hour, minute = RNG.randint(1, 12), RNG.randint(0, 59)
    clock = number(hour) + (" o'clock" if minute == 0 else " oh " + ONES[minute] if minute < 10 else " " + number(minute))
    near = number(hour)
    return RNG.choice((clock, clock + RNG.choice((" A M", " P M")), f"half past {near}", f"a quarter to {near}", f"a quarter past {near}", f"ten to {near}"))


def money():
    amount = RNG.choice((RNG.randint(2, 20), RNG.randint(21, 99), RNG.randint(100, 999), RNG.randint(1000, 90000)))
    unit = RNG.choice(("dollars", "dollars", "euros", "pounds"))
    cents = f" and {number(RNG.randint(2, 99))} cents" if unit != "pounds" and RNG.random() < 0.4 else ""
    return f"{number(amount)} {unit}{cents}"


def date():
    day, month = RNG.choice(ORDINALS), RNG.choice(MONTHS)
    return RNG.choice((f"the {day} of {month}", f"{month} {day}", f"{month} {day}, {year()}", f"{RNG.choice(DAYS)}, {month} {day}", f"{RNG.choice(DAYS)}"))


def small():
    return number(RNG.choice((RNG.randint(2, 20), RNG.randint(2, 99), RNG.randint(100, 999))))


def article(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def plural(noun):
    return noun if noun in ("orange juice", "electricity", "weather", "milk", "chocolate") else noun[:-1] + "ies" if re.search("[^aeiou]y$", noun) else noun + ("es" if re.search("(s|x|ch)$", noun) else "s")


FILLERS = {
    "name": lambda: RNG.choice(NAMES), "place": lambda: RNG.choice(PLACES), "thing": lambda: RNG.choice(THINGS),
    "things": lambda: plural(RNG.choice(THINGS)), "a": lambda: article(RNG.choice(THINGS)), "adj": lambda: RNG.choice(ADJECTIVES),
    "topic": lambda: RNG.choice(TOPICS), "verb": lambda: RNG.choice(VERBS), "n": small, "money": money, "date": date, "time": time,
    "year": year, "day": lambda: RNG.choice(DAYS), "aadj": lambda: article(RNG.choice(ADJECTIVES)),
}
TEMPLATES = """
The {thing} is {adj}.|Is the {thing} {adj}?|My {thing} is broken.|Where is my {thing}?|I need {aadj} {thing}.|Do you have {aadj} {thing}?
Please {verb} the {thing}.|Please {verb} the {adj} {thing} before {day}.|Can you {verb} my {thing}?|How do I {verb} the {thing}?
I want to {verb} the {thing} and {verb} the {thing}.|Don't {verb} the {thing}!|Let's {verb} the {thing} together.
{name} bought {aadj} {thing} in {place}.|{name} lives in {place}.|{name} and {name} are flying to {place} on {date}.
I would like to learn more about {topic}.|Tell me about {topic}.|What do you know about {topic}?|Today we will talk about {topic} and {topic}.
{name} is studying {topic} at the university.|This {thing} costs {money}.|It costs {money}.|That will be {money}, please.
I paid {money} for the {thing}.|The meeting starts at {time}.|Our train leaves at {time}.|It is {time}.|Wake me up at {time}.
Your appointment is on {date} at {time}.|She was born on {date}.|In {year}, there were {n} {things}.|The {thing} was invented in {year}.
There are {n} {things} in the {thing}.|I have {n} new {things}.|{n} plus {n} is {n}.|{n} times {n} equals {n}.|About {n} percent of the {things} are {adj}.
The temperature is {n} degrees.|The weather in {place} will be {adj} and {adj} on {day}.|Chapter {n}.|Page {n}.|Room {n}.|Flight number {n} to {place} is delayed.
Turn left after {n} meters, then turn right.|The {thing} weighs {n} kilograms.|It is {n} kilometers to {place}.|Call me at {n}, {n}, {n}.
Hello, {name}.|Hi, {name}, how are you?|Good morning, {name}.|Thank you, {name}.|Happy birthday, {name}!|Where is {name}?|Dear {name}, thank you for your {thing}.
My name is {name}.|I'm {name}, and this is {name}.|{name}, please {verb} the {thing}.|Did {name} {verb} the {thing}?|{name} didn't {verb} it.
We went to {place} by {thing}.|{place} is a wonderful city.|Have you ever been to {place}?|I'll be in {place} until {date}.
A {adj} {thing} and {aadj} {thing}.|The {adj} {thing} next to the {adj} {thing}.|{adj} {things}|the {adj} {thing}|{n} {things}|{things} and {things}
The {thing} doesn't work without {a}.|If the {thing} is {adj}, {verb} it.|You should {verb} your {thing} every {day}.|Who wants to {verb} the {adj} {thing}?
Click the {adj} button to {verb} the {thing}.|The {thing} couldn't be found.|Your {thing} is ready.|Your {thing} has been updated.|No {thing} was found.
We're going to {verb} the {thing}, aren't we?|Can I pay with my {thing}?|I can't {verb} this {thing}, it's too {adj}.|Why is the {thing} so {adj}?
Streaming speech from {a} sounds {adj}.|The {thing} talks to the {thing} over the internet.|Artificial {things} are {adj}.|Send me an email about the {thing}.
{name} said, I can't {verb} the {thing}.|The {thing} that {name} wanted to {verb} is {adj}, but the {thing} isn't.|First {verb} it, then {verb} it, and finally {verb} it.
""".replace("\n", "|").strip("|").split("|")


def fill(template):
    text = re.sub(r"\{(\w+)\}", lambda match: FILLERS[match[1]](), template)
    return text[0].upper() + text[1:] if text[-1] in ".?!" else text


def corpus_words():
    """Words of the books, most frequent first."""
    counts = collections.Counter()
    for name in ("phrases.txt", "sentences.txt"):
        with open(os.path.join(HERE, name), encoding="utf-8") as lines:
            for line in lines:
                counts.update(re.findall(r"(?<![\w'])[a-z]+(?:'[a-z]+)?(?![\w'])", line))
    return [word for word, count in counts.most_common() if count >= 3]


def lines():
    yield from re.findall(r"[^.?!]+[.?!]", GREETINGS)
    yield from (number(n) for n in range(0, 121))
    yield from (f"{number(RNG.choice((RNG.randint(121, 999), RNG.randint(1000, 9999), RNG.randint(10_000, 9_999_999))))}" for _ in range(250))
    yield from (" ".join(ONES[RNG.randrange(10)] for _ in range(RNG.randint(2, 8))) for _ in range(120))
    yield from (f"{small()} point {' '.join(ONES[RNG.randrange(10)] for _ in range(RNG.randint(1, 3)))}" for _ in range(60))
    yield from list("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    yield from (" ".join(RNG.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(RNG.randint(2, 5))) for _ in range(250))
    yield from (f"{date()}" for _ in range(120))
    yield from (f"{time()}" for _ in range(80))
    yield from (f"{money()}" for _ in range(100))
    yield from (year() for _ in range(80))
    yield from ORDINALS + MONTHS + DAYS + NAMES + PLACES + THINGS + ADJECTIVES + VERBS + TOPICS
    common = corpus_words()
    yield from common[:1200] + RNG.sample(common[1200:], 800)
    yield from (f"{RNG.choice(common[:2500])} {RNG.choice(common[:2500])}" for _ in range(400))
    yield from (f"{RNG.choice(common[:2500]).capitalize()}, {RNG.choice(common[:2500])}, and {RNG.choice(common[:2500])}." for _ in range(200))
    for template in TEMPLATES:
        yield from (fill(template) for _ in range(22))


def main():
    seen = set()
    for line in lines():
        line = re.sub(r"\s+", " ", line).strip()
        if line not in seen:
            seen.add(line)
            print(line)


if __name__ == "__main__":
    main()
