"""The model card."""

from melodyconstraints.melody.vae.card import model_card


def test_a_card_says_what_was_trained_on_what_and_how_good_it_is():
    card = model_card(
        kind="staff generator",
        preset="small",
        parameters=1234567,
        data={"airs": 1500, "hymns": 20},
        settings={"steps": 4000, "beta": 0.3},
        minutes=29.6,
        steps=4000,
        measured={
            "validation": {"onset_f1": 0.5, "kl": 60.25},
            "test": {"onset_f1": 0.25, "kl": 61.0},
        },
        notes="## Data\n\nAirs by their makers.\n",
    )
    assert card == (
        "# Melody model, preset `small`\n"
        "\n"
        "A staff generator of 16-bar melodies with 1,234,567 parameters,"
        " trained for 4,000 steps in 30 minutes.\n"
        "\n"
        "## Measured on melodies of files that the training did not see\n"
        "\n"
        "|  | validation | test |\n"
        "| --- | --- | --- |\n"
        "| onset f1 | 0.500 | 0.250 |\n"
        "| kl | 60.250 | 61.000 |\n"
        "\n"
        "## Training melodies by collection\n"
        "\n"
        "| collection | melodies |\n"
        "| --- | --- |\n"
        "| airs | 1,500 |\n"
        "| hymns | 20 |\n"
        "\n"
        "## Settings\n"
        "\n"
        "| setting | value |\n"
        "| --- | --- |\n"
        "| steps | 4000 |\n"
        "| beta | 0.3 |\n"
        "\n"
        "## Data\n"
        "\n"
        "Airs by their makers.\n"
    )
